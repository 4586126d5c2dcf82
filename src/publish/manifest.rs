//! Manifests as text: one line for each entry, in order, so that two of them compare well.

use std::fmt::Write;

use crate::document::digest;
use crate::document::manifest::{Change, GroupManifest, Manifest};

/// The root, with its own digest.
pub fn root(manifest: &Manifest) -> Result<String, toml::ser::Error> {
    let mut body = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(body, "generation = {}\nlast_version = \"{}\"\n", manifest.generation, manifest.last_version);
    let _ = write!(body, "[change]\n{}", change(&manifest.change)?);
    for (stage, groups) in &manifest.stage {
        let _ = writeln!(body, "\n[stage.{stage}]");
        for (group, entry) in groups {
            let _ = writeln!(body, "{group} = {{ generation = {}, sha256 = \"{}\" }}", entry.generation, entry.sha256);
        }
    }
    Ok(format!("# Written by `lockgate publish`: the manifests that are current.\nsha256 = \"{}\"\n{body}", digest(&body)))
}

fn change(change: &Change) -> Result<String, toml::ser::Error> {
    toml::to_string(change)
}

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
