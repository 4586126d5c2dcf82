//! An explanation for people and for programs.

use std::fmt;

use serde_json::{Map, Value, json};

use super::steps::message;
use super::{Explanation, Outcome, Step};
use crate::document::Place;

/// Of [`Explanation::to_json`].
const VERSION: u32 = 1;

fn position(place: &Place) -> String {
    let (line, column) = place.start_position();
    format!("{}:{line}:{column}", place.source.path.display())
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<13} {}{}", self.name, if self.passed { "" } else { "refused: " }, self.says)?;
        match &self.place {
            Some(place) => writeln!(f, "{:>16} {}", "-->", position(place)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            write!(f, "{step}")?;
        }
        if let Some(signature) = &self.signature {
            write!(f, "\n{signature}")?;
        }
        match &self.outcome {
            Outcome::Forward { backend_request } => {
                writeln!(f, "\nIt passes. The backend would be sent:")?;
                backend_request.lines().try_for_each(|line| writeln!(f, "  | {line}"))
            }
            Outcome::Options => {
                writeln!(f, "\nIt goes no further (Max-Forwards: 0): the gateway answers with the methods of the API.")
            }
            Outcome::Redirect => writeln!(f, "\nIt is sent to the same address over HTTPS."),
            Outcome::Refuse(refusal) => {
                let code = refusal.code;
                writeln!(f, "\nIt is refused: {} {} {}", code.status(), code.as_str(), message(refusal))
            }
        }
    }
}

impl Explanation {
    /// `{version, outcome: "forward" | "options" | "redirect" | "refuse", errorCode, status, errorMessage, backendRequest, stringToSign, steps:
    /// [{step, passed, says, file, line, column}]}`; what is not there is left out.
    pub fn to_json(&self) -> Value {
        let mut json = match &self.outcome {
            Outcome::Forward { backend_request } => json!({ "outcome": "forward", "backendRequest": backend_request }),
            Outcome::Options => json!({ "outcome": "options" }),
            Outcome::Redirect => json!({ "outcome": "redirect" }),
            Outcome::Refuse(refusal) => json!({
                "outcome": "refuse",
                "errorCode": refusal.code.as_str(),
                "status": refusal.code.status(),
                "errorMessage": message(refusal),
            }),
        };
        json["version"] = VERSION.into();
        if let Some(signature) = &self.signature {
            json["stringToSign"] = String::from_utf8_lossy(&signature.string_to_sign).into();
        }
        json["steps"] = self.steps.iter().map(step).collect();
        json
    }
}

fn step(step: &Step) -> Value {
    let mut object = Map::new();
    object.insert("step".into(), step.name.into());
    object.insert("passed".into(), step.passed.into());
    object.insert("says".into(), step.says.as_str().into());
    if let Some(place) = &step.place {
        let (line, column) = place.start_position();
        object.insert("file".into(), place.source.path.to_string_lossy().into());
        object.insert("line".into(), line.into());
        object.insert("column".into(), column.into());
    }
    object.into()
}
