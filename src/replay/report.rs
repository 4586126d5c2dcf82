//! What a replay found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::judge::REDIRECT;
use super::line::Line;
use super::log::Place;

/// Of [`Report::to_json`].
const VERSION: u32 = 1;

pub struct Report {
    pub(super) files: Vec<PathBuf>,
    /// Requests of this instance that were decided by both sides.
    pub judged: u64,
    pub damaged: u64,
    pub(super) first_damaged: Option<Place>,
    /// Lines of other instances, by their names.
    pub(super) others: BTreeMap<String, u64>,
    /// Lines that never came to a table, by their codes.
    pub(super) not_judged: BTreeMap<&'static str, u64>,
    /// What this change does.
    pub(super) changes: Vec<Group>,
    /// What the tables as they are do otherwise than the log says: files have changed since.
    pub(super) drift: Vec<Group>,
    pub(super) redefined: BTreeMap<String, u64>,
}

/// Requests of which the same is to be said.
pub(super) struct Group {
    pub said: Said,
    pub count: u64,
    pub example: Example,
}

/// What became of a request, and what would; by app.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Said {
    /// `GROUP/API` or a code.
    pub before: String,
    pub after: String,
    /// Of what cannot be foretold.
    pub why: &'static str,
    /// Empty: nobody in particular.
    pub app: String,
}

/// One request of a group.
pub(super) struct Example {
    request_id: String,
    time: String,
    /// `GET http://HOST/PATH`
    request: String,
    stage: String,
    place: Place,
}

impl Example {
    pub fn of(line: &Line<'_>, place: Place) -> Self {
        let query = if line.query.is_empty() { String::new() } else { format!("?{}", line.query) };
        Self {
            request_id: line.request_id.clone().into_owned(),
            time: line.time.clone().into_owned(),
            request: format!(
                "{} {}://{}{}{query}",
                line.method,
                line.protocol.trim_end_matches("/2").to_ascii_lowercase(),
                line.domain,
                line.path
            ),
            stage: line.stage.clone().into_owned(),
            place,
        }
    }
}

/// A code, and not an API.
fn is_code(words: &str) -> bool {
    !words.contains('/')
}

impl Said {
    /// `would now be refused: A403EP (app partner-7)`
    fn sentence(&self) -> String {
        let app = if self.app.is_empty() { String::new() } else { format!(" (app {})", self.app) };
        let Self { before, after, .. } = self;
        match (is_code(before), is_code(after)) {
            _ if after == "unknown" => format!("cannot be foretold, {}: {}{app}", self.why, was(before)),
            _ if after == "others" => "change in further ways".to_owned(),
            _ if after == REDIRECT => format!("would now be sent to HTTPS; {}", was(before)),
            (false, true) => format!("would now be refused: {after}{app}; {}", was(before)),
            (true, false) => format!("would now pass to {after}{app}; {}", was(before)),
            (false, false) => format!("would now go to {after}{app}; {}", was(before)),
            _ if before == REDIRECT => format!("would now be refused: {after}{app}; {}", was(before)),
            (true, true) => format!("would now be refused otherwise: {after}{app}; {}", was(before)),
        }
    }
}

fn was(before: &str) -> String {
    match before {
        "unknown" => "what it did before is not known either".to_owned(),
        REDIRECT => "it was sent to HTTPS".to_owned(),
        code if is_code(code) => format!("it was refused: {code}"),
        api => format!("it went to {api}"),
    }
}

/// `10,000`
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
        writeln!(f, "replay of {}: {} requests judged", files.join(", "), number(self.judged))?;
        for (instance, count) in &self.others {
            writeln!(f, "  left out: {} of the instance {instance}", lines(*count))?;
        }
        if let Some(first) = &self.first_damaged {
            writeln!(f, "  left out: {} damaged, the first at {first}", lines(self.damaged))?;
        }
        for (code, count) in &self.not_judged {
            writeln!(f, "  not judged: {} refused for the head or the body ({code})", lines(*count))?;
        }
        if self.changes.is_empty() {
            writeln!(f, "the outcome of no request would change")?;
        }
        self.groups(f, &self.changes)?;
        for (api, count) in &self.redefined {
            writeln!(f, "{} of {} requests would go to {api} as it is defined anew", number(*count), number(self.judged))?;
        }
        if !self.drift.is_empty() {
            writeln!(f, "\nnot by this publication: since these requests were logged, documents have changed")?;
            self.groups(f, &self.drift)?;
        }
        Ok(())
    }
}

fn lines(count: u64) -> String {
    format!("{} line{}", number(count), if count == 1 { "" } else { "s" })
}

impl Report {
    fn groups(&self, f: &mut fmt::Formatter<'_>, groups: &[Group]) -> fmt::Result {
        for Group { said, count, example } in groups {
            writeln!(f, "{} of {} requests {}", number(*count), number(self.judged), said.sentence())?;
            let stage = if example.stage.is_empty() { String::new() } else { format!(" in {}", example.stage) };
            writeln!(f, "  e.g. {}{stage}, {} ({})", example.request, example.time, example.place)?;
        }
        Ok(())
    }

    /// `{version, files, judged, damaged: {count, first}, otherInstances: {NAME: count}, notJudged: {CODE: count}, changes:
    /// [{before, after, why, app, count, example: {requestId, time, request, stage, place}}], drift: [..], redefined:
    /// {GROUP/API: count}}`. `before` and `after` are `GROUP/API`, an error code, or `unknown`; what is empty is left out.
    pub fn to_json(&self) -> Value {
        let mut json = json!({
            "version": VERSION,
            "files": self.files,
            "judged": self.judged,
            "otherInstances": self.others,
            "notJudged": self.not_judged,
            "changes": self.changes.iter().map(Group::to_json).collect::<Vec<_>>(),
            "drift": self.drift.iter().map(Group::to_json).collect::<Vec<_>>(),
            "redefined": self.redefined,
        });
        if let Some(first) = &self.first_damaged {
            json["damaged"] = json!({ "count": self.damaged, "first": first.to_string() });
        }
        json
    }
}

impl Group {
    fn to_json(&self) -> Value {
        let Self { said, count, example } = self;
        let mut object = Map::new();
        let mut put = |key: &str, text: &str| {
            if !text.is_empty() {
                object.insert(key.into(), text.into());
            }
        };
        put("before", &said.before);
        put("after", &said.after);
        put("why", said.why);
        put("app", &said.app);
        object.insert("count".into(), (*count).into());
        let mut of = Map::new();
        let place = example.place.to_string();
        let fields = [
            ("requestId", &example.request_id),
            ("time", &example.time),
            ("request", &example.request),
            ("stage", &example.stage),
            ("place", &place),
        ];
        for (key, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
            of.insert(key.into(), text.as_str().into());
        }
        object.insert("example".into(), of.into());
        object.into()
    }
}
