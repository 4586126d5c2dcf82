//! What is sent, as a file says it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::load::Lasting;
use crate::request::Credential;

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

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// What it stands for, in a few words.
    pub about: String,
    pub method: String,
    /// As the gateway's sample instance has it: `/plain/SIZE`, `/app-code/SIZE`, `/signature/SIZE`, `/upload/SIZE`.
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

pub fn built_in() -> Result<Vec<Scenario>> {
    BUILT_IN.iter().map(|text| parse(text)).collect()
}

pub fn edge() -> Result<Vec<Scenario>> {
    EDGE.iter().map(|text| parse(text)).collect()
}

/// Those named: each a file, or the name of one that is built in.
pub fn load(names: &[String]) -> Result<Vec<Scenario>> {
    let known = [built_in()?, edge()?].concat();
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
    Ok(scenario)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_scenarios_are_read_and_refer_to_each_other() {
        let all = [built_in().unwrap(), edge().unwrap()].concat();
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
    }
}
