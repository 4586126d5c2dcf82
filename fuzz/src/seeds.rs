//! Inputs to begin with: what was kept, and the corpora of the integration tests.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::campaign::{kept, repository};
use crate::targets::Target;

pub fn of(target: Target) -> io::Result<Vec<Vec<u8>>> {
    let mut seeds: Vec<_> = kept(target)?.into_iter().map(|(_, input)| input).collect();
    match target {
        Target::Head => seeds.extend(corpus("rfc9112.json")?),
        Target::Response => seeds.extend(corpus("responses.json")?),
        Target::Chunked => seeds.extend(corpus("rfc9112.json")?.iter().filter_map(|case| body(case))),
        Target::Target | Target::Documents | Target::Hello | Target::Records => {}
    }
    Ok(seeds)
}

/// What follows the first empty line.
fn body(case: &[u8]) -> Option<Vec<u8>> {
    let at = case.windows(4).position(|part| part == b"\r\n\r\n")?;
    Some(case[at + 4..].to_vec())
}

fn corpus(name: &str) -> io::Result<Vec<Vec<u8>>> {
    let file = repository().join("tests/corpus").join(name);
    let corpus: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let cases = corpus["cases"].as_array().into_iter().flatten();
    Ok(cases.filter_map(|case| STANDARD.decode(case["raw_b64"].as_str()?).ok()).collect())
}
