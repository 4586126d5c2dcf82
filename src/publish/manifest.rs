//! The next manifest, as text: one line for each API, in order, so that two manifests compare well.

use std::fmt::Write;

use crate::document::manifest::Manifest;

pub fn text(manifest: &Manifest) -> String {
    let mut text = String::from("# Written by `lockgate publish`: which version of each API is current.\n");
    // Writing to a string does not fail.
    let _ = writeln!(text, "generation = {}\nlast_version = \"{}\"", manifest.generation, manifest.last_version);
    for (stage, groups) in &manifest.current {
        for (group, apis) in groups {
            let _ = writeln!(text, "\n[current.{stage}.{group}]");
            for (api, current) in apis {
                let _ = writeln!(text, "{api} = {{ version = \"{}\", sha256 = \"{}\" }}", current.version, current.sha256);
            }
        }
    }
    text
}
