//! The HTTP/1.1 corpora: messages of RFC 9112 and of the tests of other implementations, each with what a gateway must
//! make of it.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::tools::repository;

/// One message, or several on one connection.
pub struct Case {
    pub id: String,
    pub raw: Vec<u8>,
    pub json: Value,
}

impl Case {
    pub fn expect(&self) -> &str {
        self.json["expect"].as_str().expect("every case says what to expect")
    }

    pub fn number(&self, key: &str) -> usize {
        self.json[key].as_u64().unwrap_or_else(|| panic!("{}: no {key}", self.id)) as usize
    }
}

/// The cases of a corpus: from `tests/corpus`, or from the directory that `LOCKGATE_CORPUS` names (without it, the
/// directory where the other corpora lie beside a checkout). `None`, and a word on it, when it is in neither.
pub fn corpus(name: &str) -> Option<Vec<Case>> {
    let others = std::env::var_os("LOCKGATE_CORPUS").map_or_else(|| repository().join("../shared/http1-corpus"), PathBuf::from);
    let places = [repository().join("tests/corpus"), others];
    let Some(text) = places.iter().find_map(|place| std::fs::read_to_string(place.join(format!("{name}.json"))).ok()) else {
        println!("NOT RUN: corpus {name} is not here (LOCKGATE_CORPUS names its directory)");
        return None;
    };
    let corpus: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
    let cases = corpus["cases"].as_array().unwrap_or_else(|| panic!("{name}: no cases")).iter();
    let cases: Vec<_> = cases
        .map(|case| Case {
            id: case["id"].as_str().expect("every case has an id").to_owned(),
            raw: STANDARD.decode(case["raw_b64"].as_str().unwrap_or_default()).expect("Base64"),
            json: case.clone(),
        })
        .collect();
    assert_eq!(corpus["count"].as_u64(), Some(cases.len() as u64), "{name}: whole");
    println!("{name}: {} cases", cases.len());
    Some(cases)
}
