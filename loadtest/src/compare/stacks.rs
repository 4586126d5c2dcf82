//! Profiles into trees of calls: the text of `perf script`, whose samples are stacks, or a file of callgrind, which knows what each
//! function has spent itself and in each that it called. Pure.

use std::collections::{BTreeMap, HashMap};

/// A function where it was called: what was spent in it and below.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    pub weight: f64,
    pub calls: BTreeMap<String, Frame>,
}

/// Calls of callgrind are followed so deep, and while they have so much of all.
const DEEPEST: usize = 80;
const LEAST: f64 = 0.001;

/// All that was spent, from the outermost functions on. `None`: it is neither kind of file, or an empty one.
pub fn read(text: &str) -> Option<Frame> {
    let all = if text.starts_with("# callgrind format") { Functions::read(text).tree() } else { samples(text) };
    (all.weight > 0.0).then_some(all)
}

/// A sample is a line that begins at its margin, and below it a line for each function, the innermost first: address, name with an
/// offset, file.
fn samples(script: &str) -> Frame {
    let mut all = Frame::default();
    let mut stack: Vec<&str> = Vec::new();
    for line in script.lines().chain([""]) {
        match line.strip_prefix(['\t', ' ']).map(str::trim_start) {
            Some(frame) => {
                let (_, name) = frame.split_once(' ').unwrap_or(("", frame));
                let name = name.rsplit_once(" (").map_or(name, |(name, _)| name);
                // Where a stack could not be followed further is no function.
                if name != "[unknown]" {
                    stack.push(name.rsplit_once("+0x").map_or(name, |(name, _)| name));
                }
            }
            None if stack.is_empty() => {}
            None => {
                all.weight += 1.0;
                let mut frame = &mut all;
                for name in stack.drain(..).rev() {
                    frame = frame.calls.entry(name.to_owned()).or_default();
                    frame.weight += 1.0;
                }
            }
        }
    }
    all
}

/// Of callgrind: each function's own cost, and that of its calls by whom they are of.
#[derive(Default)]
struct Functions<'a> {
    names: HashMap<&'a str, &'a str>,
    spent: HashMap<&'a str, f64>,
    calls: HashMap<&'a str, BTreeMap<&'a str, f64>>,
    /// In calls of it.
    called: HashMap<&'a str, f64>,
}

impl<'a> Functions<'a> {
    /// `fn=(ID) NAME`, the name only once; below it lines of a position and costs; `cfn=(ID)` and `calls=` stand before a line of
    /// what a call has cost.
    fn read(text: &'a str) -> Self {
        let mut functions = Self::default();
        let (mut function, mut callee, mut is_call) = ("", "", false);
        for line in text.lines() {
            if let Some(id) = line.strip_prefix("fn=") {
                function = functions.known(id);
            } else if let Some(id) = line.strip_prefix("cfn=") {
                callee = functions.known(id);
            } else if line.starts_with("calls=") {
                is_call = true;
            } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
                let cost = line.split_ascii_whitespace().nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0.0);
                if std::mem::take(&mut is_call) {
                    *functions.calls.entry(function).or_default().entry(callee).or_default() += cost;
                    *functions.called.entry(callee).or_default() += cost;
                } else {
                    *functions.spent.entry(function).or_default() += cost;
                }
            }
        }
        functions
    }

    fn known(&mut self, said: &'a str) -> &'a str {
        let (id, name) = said.split_once(") ").map_or((said.trim_end_matches(')'), ""), |(id, name)| (id, name));
        if !name.is_empty() {
            self.names.insert(id, name);
        }
        id
    }

    fn cost(&self, function: &str) -> f64 {
        let calls: f64 = self.calls.get(function).map_or(0.0, |calls| calls.values().sum());
        self.spent.get(function).copied().unwrap_or(0.0) + calls
    }

    /// Who called whom is known for one call alone: what a function spends is shared among those that called it as they paid for it.
    fn tree(&self) -> Frame {
        let mut all = Frame::default();
        let total: f64 = self.spent.values().sum();
        let ids: std::collections::BTreeSet<_> = self.spent.keys().chain(self.calls.keys()).copied().collect();
        for function in ids {
            let own = self.cost(function) - self.called.get(function).copied().unwrap_or(0.0);
            if own > total * LEAST {
                all.weight += own;
                self.follow(function, own, total * LEAST, &mut vec![function], &mut all);
            }
        }
        all
    }

    fn follow(&self, function: &'a str, weight: f64, least: f64, path: &mut Vec<&'a str>, within: &mut Frame) {
        let name = self.names.get(function).copied().unwrap_or("?").to_owned();
        let frame = within.calls.entry(name).or_default();
        frame.weight += weight;
        let cost = self.cost(function);
        for (callee, paid) in self.calls.get(function).into_iter().flatten() {
            let share = weight * paid / cost;
            if share >= least && path.len() < DEEPEST && !path.contains(callee) {
                path.push(callee);
                self.follow(callee, share, least, path, frame);
                path.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(frame: &Frame) -> String {
        let calls: Vec<_> = frame.calls.iter().map(|(name, frame)| format!("{name}{}", drawn(frame))).collect();
        format!(":{}[{}]", frame.weight, calls.join(" "))
    }

    #[test]
    fn samples_of_perf_are_stacks() {
        let script = "lockgate 7 1.0: 1 cycles:u:\n\t  55aa relay+0x1f (/x/lockgate)\n\t  55ab <a as b>::poll+0x2 (/x/lockgate)\n\n\
                      lockgate 7 2.0: 1 cycles:u:\n\t  ffff [unknown] ([kernel.kallsyms])\n\t  55ab <a as b>::poll+0x9 (/x/lockgate)\n";
        assert_eq!(drawn(&read(script).unwrap()), ":2[<a as b>::poll:2[relay:1[]]]");
        assert_eq!(read("nothing of the kind\n"), None);
    }

    #[test]
    fn what_callgrind_knows_of_calls_is_followed_from_the_outermost() {
        let file = "# callgrind format\nevents: Ir sysCount\n\nfn=(1) main\n5 10\ncfn=(2) read\ncalls=3 9\n6 60\n+1 5\n\
                    cfn=(3) copy\ncalls=1 9\n7 25\n\nfn=(2)\n9 40\ncfn=(3)\ncalls=1 1\n* 20\n\nfn=(3)\n1 45\ncfn=(2)\ncalls=1 1\n1 0\n";
        assert_eq!(drawn(&read(file).unwrap()), ":100[main:100[copy:25[] read:60[copy:20[]]]]");
    }
}
