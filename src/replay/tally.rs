//! Counts of what a replay found: requests of which the same is to be said count together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Foretold;
use super::judge::{Judged, Outcome, REDIRECT};
use super::line::Line;
use super::log::{Place, PlaceOf};
use super::report::{Example, Group, Report, Said};
use crate::gate::ErrorCode;

/// Kinds of changes, and names, that are kept apart; further ones count together.
const KINDS: usize = 10_000;

#[derive(Default)]
pub struct Tally {
    judged: u64,
    damaged: u64,
    first_damaged: Option<Place>,
    others: BTreeMap<String, u64>,
    not_judged: BTreeMap<&'static str, u64>,
    changes: BTreeMap<Said, Group>,
    drift: BTreeMap<Said, Group>,
    /// Requests that reach an API of which another version would be current.
    redefined: BTreeMap<String, u64>,
}

impl Tally {
    pub fn damaged(&mut self, place: Place) {
        self.damaged += 1;
        self.first_damaged.get_or_insert(place);
    }

    pub fn of_another(&mut self, instance: &str) {
        count(&mut self.others, instance);
    }

    /// `refusal`: why it never came to the tables.
    pub fn not_judged(&mut self, refusal: Option<ErrorCode>) {
        *self.not_judged.entry(refusal.map_or("without a path", ErrorCode::as_str)).or_default() += 1;
    }

    pub fn judged<'l>(
        &mut self,
        line: &'l Line<'_>,
        before: &Judged<'_>,
        after: &Judged<'_>,
        place: PlaceOf<'_>,
    ) -> Option<Foretold<'l>> {
        self.judged += 1;
        let logged = logged(line);
        let (same, as_logged) = (before.is(after), is_as_logged(&logged, line, before));
        if !same {
            add(&mut self.changes, said(before.words(), after, line), line, place);
        } else if let (Outcome::Forward(_), Some((group, api, one)), Some((_, _, other))) =
            (before.outcome, before.api, after.api)
            && one != other
        {
            count(&mut self.redefined, &format!("{group}/{api}"));
        }
        if !as_logged {
            add(&mut self.drift, said(words(&logged, line), before, line), line, place);
        }
        Some(Foretold {
            request_id: &line.request_id,
            logged: words(&logged, line),
            before: before.words(),
            after: after.words(),
        })
    }

    pub fn report(self, files: &[PathBuf]) -> Report {
        Report {
            files: files.to_vec(),
            judged: self.judged,
            damaged: self.damaged,
            first_damaged: self.first_damaged,
            others: self.others,
            not_judged: self.not_judged,
            changes: sorted(self.changes),
            drift: sorted(self.drift),
            redefined: self.redefined,
        }
    }
}

/// What became of a request, by its record. A backend's failure is no decision: the request had passed.
enum Logged {
    Passed,
    Redirected,
    Refused(ErrorCode),
    /// Quotas depend on what else was counted, which the log need not hold.
    Throttled(ErrorCode),
}

fn logged(line: &Line<'_>) -> Logged {
    match line.refusal() {
        None if line.was_redirected() => Logged::Redirected,
        None => Logged::Passed,
        Some(code) if code.as_str().starts_with(['D', 'N', 'X']) && code != ErrorCode::X403DG => Logged::Passed,
        Some(code) if code.as_str().starts_with('T') => Logged::Throttled(code),
        Some(code) => Logged::Refused(code),
    }
}

fn is_as_logged(logged: &Logged, line: &Line<'_>, judged: &Judged<'_>) -> bool {
    match (logged, judged.outcome) {
        (_, Outcome::Unknown(_)) | (Logged::Throttled(_), _) => true,
        (Logged::Passed, Outcome::Forward(_)) => judged.name() == Some((&line.group, &line.api)),
        (Logged::Redirected, Outcome::Redirect) => true,
        (Logged::Refused(code), Outcome::Refuse(judged)) => *code == judged,
        _ => false,
    }
}

fn words(logged: &Logged, line: &Line<'_>) -> String {
    match logged {
        Logged::Passed => format!("{}/{}", line.group, line.api),
        Logged::Redirected => REDIRECT.to_owned(),
        Logged::Refused(code) | Logged::Throttled(code) => code.as_str().to_owned(),
    }
}

fn said(before: String, after: &Judged<'_>, line: &Line<'_>) -> Said {
    let why = if let Outcome::Unknown(why) = after.outcome { why } else { "" };
    Said { before, after: after.words(), why, app: line.app.clone().into_owned() }
}

fn add(groups: &mut BTreeMap<Said, Group>, mut said: Said, line: &Line<'_>, place: PlaceOf<'_>) {
    if groups.len() >= KINDS && !groups.contains_key(&said) {
        said = Said { before: "others".to_owned(), after: "others".to_owned(), why: "", app: String::new() };
    }
    let group = groups.entry(said.clone()).or_insert_with(|| Group { said, count: 0, example: Example::of(line, place.place()) });
    group.count += 1;
}

fn count(counts: &mut BTreeMap<String, u64>, what: &str) {
    let what = if counts.len() >= KINDS && !counts.contains_key(what) { "others" } else { what };
    match counts.get_mut(what) {
        Some(count) => *count += 1,
        None => drop(counts.insert(what.to_owned(), 1)),
    }
}

/// The most requests first.
fn sorted(groups: BTreeMap<Said, Group>) -> Vec<Group> {
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}
