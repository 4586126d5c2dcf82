//! The figures that the repository keeps, by build: what the compiler makes of a development build costs many times as
//! much as a release build, and grows with the same changes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

/// Which build of the gateway stands beside this program.
const BUILD: &str = if cfg!(debug_assertions) { "development" } else { "release" };
/// Instructions beyond what is kept, as a part of it, that pass. Of a development build more, because compilers differ there.
const TOLERANCE: f64 = if cfg!(debug_assertions) { 0.15 } else { 0.03 };
/// System calls beyond what is kept that pass. One after the other, an answer may come in more pieces the slower the
/// gateway is, on a machine that is busy otherwise, too; of many at once these are few. One more a request is noticed.
const SYSTEM_CALLS_IN_TURN: f64 = if cfg!(debug_assertions) { 2.5 } else { 1.0 };
const SYSTEM_CALLS_AT_ONCE: f64 = 0.6;

/// For each request of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    pub in_turn: Cost,
    /// With a request under way on each of many connections.
    pub at_once: Cost,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    pub instructions: u64,
    pub system_calls: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in turn; {} of many at once", self.in_turn, self.at_once)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} instructions, {:.2} system calls", self.instructions, self.system_calls)
    }
}

impl Cost {
    /// As it is kept: no more digits than mean something.
    pub fn of(instructions: f64, system_calls: f64) -> Self {
        Self { instructions: instructions.round() as u64, system_calls: (system_calls * 100.0).round() / 100.0 }
    }
}

/// By build, then by scenario.
type Builds = BTreeMap<String, BTreeMap<String, Figures>>;

pub struct Kept {
    file: &'static Path,
    /// What stands above the figures.
    preface: String,
    builds: Builds,
}

impl Kept {
    pub fn read(file: &'static Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let builds = toml::from_str(&text).with_context(|| file.display().to_string())?;
        let preface = text.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        Ok(Self { file, preface, builds })
    }

    /// Takes these figures for what is right.
    pub fn keep(&mut self, found: Vec<(String, Figures)>) -> Result<()> {
        self.builds.entry(BUILD.to_owned()).or_default().extend(found);
        let text = format!("{}\n{}", self.preface, toml::to_string(&self.builds)?);
        std::fs::write(self.file, text).with_context(|| self.file.display().to_string())
    }

    /// What costs more than it did, in words.
    pub fn complaints(&self, found: &[(String, Figures)]) -> Result<Vec<String>> {
        let kept = self.builds.get(BUILD).ok_or_else(|| anyhow!("no figures of a {BUILD} build are kept"))?;
        let mut complaints = Vec::new();
        for (name, found) in found {
            let kept = kept.get(name).ok_or_else(|| anyhow!("no figures of {name} are kept"))?;
            let mut judge = |what: &str, kept: f64, found: f64, most: f64| {
                if found > most {
                    complaints.push(format!("{name}: {found:.2} {what} a request, kept are {kept:.2}, at most {most:.2} pass"));
                }
            };
            for (how, was, is, more) in [
                ("in turn", kept.in_turn, found.in_turn, SYSTEM_CALLS_IN_TURN),
                ("at once", kept.at_once, found.at_once, SYSTEM_CALLS_AT_ONCE),
            ] {
                let (instructions, calls) = (was.instructions as f64, was.system_calls);
                judge(&format!("instructions {how}"), instructions, is.instructions as f64, instructions * (1.0 + TOLERANCE));
                judge(&format!("system calls {how}"), calls, is.system_calls, calls + more);
            }
        }
        Ok(complaints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Figures = Figures {
        in_turn: Cost { instructions: 10_000, system_calls: 4.0 },
        at_once: Cost { instructions: 8000, system_calls: 0.2 },
    };

    fn complaints(found: Figures) -> Vec<String> {
        let builds = [(BUILD.to_owned(), [("plain".to_owned(), KEPT)].into())].into();
        let kept = Kept { file: Path::new(""), preface: String::new(), builds };
        kept.complaints(&[("plain".to_owned(), found)]).unwrap()
    }

    #[test]
    fn what_costs_more_than_the_tolerance_is_named() {
        let in_turn = |instructions, system_calls| Figures { in_turn: Cost { instructions, system_calls }, ..KEPT };
        assert!(complaints(KEPT).is_empty());
        assert!(complaints(in_turn(5000, 3.0)).is_empty(), "less is no fault");
        assert!(complaints(in_turn(10_200, 4.0)).is_empty());
        let more = complaints(in_turn(11_600, 4.0));
        assert!(matches!(&more[..], [one] if one.starts_with("plain: 11600.00 instructions in turn")), "{more:?}");
        assert_eq!(complaints(Figures { at_once: Cost { instructions: 9500, system_calls: 1.3 }, ..KEPT }).len(), 2);
    }

    #[test]
    fn every_scenario_has_figures_of_both_builds() {
        let kept = Kept::read(super::super::kept_file()).unwrap();
        for scenario in super::super::scenarios(&[]).unwrap() {
            for build in ["development", "release"] {
                assert!(kept.builds[build].contains_key(&scenario.name), "{build}, {}", scenario.name);
            }
        }
    }
}
