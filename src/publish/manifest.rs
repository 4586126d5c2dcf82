//! Manifests as text: one line for each entry, in order, so that two of them compare well.

use std::fmt::Write;

use super::version::quoted;
use crate::document::digest;
use crate::document::manifest::{Change, GroupManifest, Manifest};

/// The root, and the digest that it states of itself.
pub fn root(manifest: &Manifest) -> (String, String) {
    let mut body = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(body, "generation = {}\nlast_version = \"{}\"\n", manifest.generation, manifest.last_version);
    let Change { what, remarks, by, time } = &manifest.change;
    let _ = writeln!(body, "[change]");
    for (key, value) in [("what", what), ("remarks", remarks), ("by", by), ("time", time)] {
        let _ = writeln!(body, "{key} = {}", quoted(value));
    }
    for (stage, groups) in &manifest.stage {
        let _ = writeln!(body, "\n[stage.{stage}]");
        for (group, entry) in groups {
            let _ = writeln!(body, "{group} = {{ generation = {}, sha256 = \"{}\" }}", entry.generation, entry.sha256);
        }
    }
    let sha256 = digest(&body);
    (format!("# Written by `lockgate publish`: the manifests that are current.\nsha256 = \"{sha256}\"\n{body}"), sha256)
}

/// The manifest of a group.
pub fn group(manifest: &GroupManifest) -> String {
    let mut text = String::from("# Written by `lockgate publish`; never edited.\n[current]\n");
    for (api, current) in &manifest.current {
        let _ = writeln!(
            text,
            "{api} = {{ version = \"{}\", sha256 = \"{}\", file_sha256 = \"{}\" }}",
            current.version, current.sha256, current.file_sha256
        );
    }
    text.push_str("\n[latest]\n");
    for (api, version) in &manifest.latest {
        let _ = writeln!(text, "{api} = \"{version}\"");
    }
    text
}
