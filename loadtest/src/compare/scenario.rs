//! What is sent, as a file says it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::answer::Expected;
use crate::load::Lasting;
use crate::request::Credential;

/// Of those that are published beside the scenarios' own.
pub const APIS_OF_A_GROUP: usize = 100;

/// The scenarios that `compare` runs when none is named, in this order.
const BUILT_IN: [&str; 5] = [
    include_str!("../../scenarios/plain-128.toml"),
    include_str!("../../scenarios/appcode-128.toml"),
    include_str!("../../scenarios/signature-128.toml"),
    include_str!("../../scenarios/plain-16k.toml"),
    include_str!("../../scenarios/post-10k.toml"),
];

/// Those of connections: over TLS, short ones, and many that wait. `compare --edge` runs them.
const EDGE: [&str; 18] = [
    include_str!("../../scenarios/tls-128.toml"),
    include_str!("../../scenarios/tls-16k.toml"),
    include_str!("../../scenarios/tls-1m.toml"),
    include_str!("../../scenarios/tls-post-10k.toml"),
    include_str!("../../scenarios/tls-full.toml"),
    include_str!("../../scenarios/tls-resumed.toml"),
    include_str!("../../scenarios/h2-128.toml"),
    include_str!("../../scenarios/h2-16k.toml"),
    include_str!("../../scenarios/h2-1m.toml"),
    include_str!("../../scenarios/h2-post-10k.toml"),
    include_str!("../../scenarios/h2-1000.toml"),
    include_str!("../../scenarios/h2c-128.toml"),
    include_str!("../../scenarios/h2c-1000.toml"),
    include_str!("../../scenarios/plain-1m.toml"),
    include_str!("../../scenarios/plain-new.toml"),
    include_str!("../../scenarios/plain-1000.toml"),
    include_str!("../../scenarios/plain-8000.toml"),
    include_str!("../../scenarios/tls-1000.toml"),
];

/// Those of what the gateway does beside, or instead of, passing a request on. `compare --duties` runs them, with the first of
/// all, which they are held against.
const DUTIES: [&str; 8] = [
    include_str!("../../scenarios/plain-128.toml"),
    include_str!("../../scenarios/plain-0.toml"),
    include_str!("../../scenarios/everything-128.toml"),
    include_str!("../../scenarios/refused.toml"),
    include_str!("../../scenarios/throttled.toml"),
    include_str!("../../scenarios/reload-128.toml"),
    include_str!("../../scenarios/apis-100000.toml"),
    include_str!("../../scenarios/plain-10000.toml"),
];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// What it stands for, in a few words.
    pub about: String,
    pub method: String,
    /// As the gateway's sample instance has it: `/plain/SIZE`, `/app-code/SIZE`, `/signature/SIZE`, `/upload/SIZE`,
    /// `/limited/SIZE`, `/throttled/SIZE`.
    pub path: String,
    pub credential: Credential,
    #[serde(default)]
    pub request_bytes: usize,
    pub answer_bytes: usize,
    /// Over TLS 1.3, with a certificate of ECDSA P-256.
    #[serde(default)]
    pub tls: bool,
    /// How long a connection lasts.
    #[serde(default)]
    pub connection: Lasting,
    /// Over HTTP/2, with so many requests under way on each connection: of which there is one, unless `connections` says otherwise.
    pub streams: Option<usize>,
    /// Connections at a time, where it is not for the command to say.
    pub connections: Option<usize>,
    /// Requests of a round, at most: where one of them takes long.
    pub requests: Option<u64>,
    /// What is answered instead: by peers that look at credentials.
    pub refusal: Option<Refusal>,
    /// How the gateway runs in this scenario alone: it is started for each turn.
    pub gateway: Option<Setting>,
    #[serde(default, rename = "limit")]
    pub limits: Vec<Limit>,
}

/// The most that the gateway may cost, in processor time per request, as a part of what a peer does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub peer: String,
    pub ratio: f64,
    /// The peer's scenario, when it is not this one.
    pub scenario: Option<String>,
}

impl Scenario {
    /// What each of its answers is.
    pub fn expected(&self) -> Expected {
        match &self.refusal {
            Some(Refusal { status, code }) => Expected::refusal(*status, code),
            None => Expected::answer(self.answer_bytes),
        }
    }
}

/// A head alone, with the gateway's error code.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
}

/// What the gateway of a scenario has to do beside its requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The access log is written, to a file.
    #[serde(default)]
    pub access_log: bool,
    /// The operator's listener is open, and asked for the metrics once a second.
    #[serde(default)]
    pub metrics: bool,
    /// A document changes so often, and the gateway takes it up.
    pub change_every_ms: Option<u64>,
    /// APIs that are published beside its own: a multiple of 100, which is a group.
    #[serde(default)]
    pub apis: usize,
}

pub fn built_in() -> Result<Vec<Scenario>> {
    BUILT_IN.iter().map(|text| parse(text)).collect()
}

pub fn edge() -> Result<Vec<Scenario>> {
    EDGE.iter().map(|text| parse(text)).collect()
}

pub fn duties() -> Result<Vec<Scenario>> {
    DUTIES.iter().map(|text| parse(text)).collect()
}

/// All that are built in, each once.
pub fn all() -> Result<Vec<Scenario>> {
    Ok([built_in()?, edge()?, duties()?.split_off(1)].concat())
}

/// Those named: each a file, or the name of one that is built in.
pub fn load(names: &[String]) -> Result<Vec<Scenario>> {
    let known = all()?;
    let find = |name: &String| match known.iter().find(|scenario| scenario.name == *name) {
        Some(scenario) => Ok(scenario.clone()),
        None => read(Path::new(name)),
    };
    names.iter().map(find).collect()
}

fn read(path: &Path) -> Result<Scenario> {
    let text = std::fs::read_to_string(path).with_context(|| format!("scenario {}", path.display()))?;
    parse(&text).with_context(|| format!("scenario {}", path.display()))
}

fn parse(text: &str) -> Result<Scenario> {
    let scenario: Scenario = toml::from_str(text)?;
    if !scenario.path.ends_with(&format!("/{}", scenario.answer_bytes)) {
        bail!("{}: the last segment of the path must be answer_bytes: it is what the backend answers", scenario.name);
    }
    if scenario.gateway.as_ref().is_some_and(|gateway| gateway.apis % APIS_OF_A_GROUP != 0) {
        bail!("{}: apis are whole groups of {APIS_OF_A_GROUP}", scenario.name);
    }
    Ok(scenario)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_scenarios_are_read_and_refer_to_each_other() {
        let all = all().unwrap();
        for limit in all.iter().flat_map(|scenario| &scenario.limits) {
            assert!((0.0..=2.0).contains(&limit.ratio));
            assert!(limit.scenario.as_ref().is_none_or(|name| all.iter().any(|scenario| scenario.name == *name)));
        }
        assert_eq!(load(&["post-10k".to_owned()]).unwrap()[0].request_bytes, 10_240);
    }

    #[test]
    fn a_path_that_asks_for_another_size_is_refused() {
        let text = "name='x'\nabout=''\nmethod='GET'\npath='/plain/129'\ncredential='none'\nanswer_bytes=128\n";
        assert!(parse(text).is_err());
        assert!(parse(&text.replace("129", "128")).is_ok());
        assert!(parse(&text.replace("129", "128").replace("about", "abuot")).is_err());
        let beside = |apis: usize| parse(&format!("{}\n[gateway]\napis = {apis}\n", text.replace("129", "128")));
        assert!(beside(200).is_ok() && beside(150).is_err());
    }
}
