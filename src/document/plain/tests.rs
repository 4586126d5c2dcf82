use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use serde::Deserialize;
use toml::de::Deserializer;

use super::read;
use crate::document::{At, Document, api, app, gateway, group, manifest, version, vpc_access};

/// What the whole of TOML makes of it.
fn whole<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    T::deserialize(Deserializer::parse(text).ok()?).ok()
}

fn same<T: Document + Debug>(text: &str) -> bool {
    let plain = read::<T>(text);
    if let Some(plain) = &plain {
        assert_eq!(format!("{plain:?}"), format!("{:?}", whole::<T>(text).expect("TOML reads what is plain")), "{text}");
    }
    plain.is_some()
}

/// Every document of the sample, in its kind.
#[test]
fn documents_are_read_as_the_whole_of_toml_reads_them() {
    let path = |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    let text = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    let only = |directory: &str| {
        let entries = std::fs::read_dir(path(directory)).unwrap();
        entries.map(|entry| entry.unwrap().path()).find(|path| path.is_file()).unwrap().display().to_string()
    };
    assert!(same::<gateway::Gateway>(&text("gateway.toml")));
    assert!(same::<vpc_access::VpcAccess>(&text("vpc-access/nginx-microservice.toml")));
    assert!(same::<group::Group>(&text("groups/nginx-demo/group.toml")));
    assert!(same::<api::Api>(&text("groups/nginx-demo/apis/nginx-test.toml")));
    assert!(same::<app::App>(&text("apps/demo-app.toml")));
    assert!(same::<manifest::Manifest>(&text("published/manifest.toml")));
    assert!(same::<manifest::GroupManifest>(&text("published/RELEASE/nginx-demo/1.toml")));
    assert!(same::<version::Version>(&text(&only("published/RELEASE/nginx-demo/nginx-test"))));
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Any {
    a: Option<At<String>>,
    b: Option<At<i64>>,
    c: Option<At<Vec<At<String>>>>,
    d: Option<BTreeMap<String, At<Inner>>>,
    e: Option<At<Inner>>,
    #[serde(default)]
    f: Vec<At<Inner>>,
    g: Option<At<Vec<Inner>>>,
    h: Option<bool>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    a: Option<At<String>>,
    b: Option<At<i64>>,
    d: Option<BTreeMap<String, i64>>,
    e: Option<Box<At<Inner>>>,
    #[serde(default)]
    f: Vec<Inner>,
}

impl Document for Any {}

#[test]
fn what_is_plain_is_read() {
    for text in [
        "",
        "# only a comment",
        "a = \"x\"\nb = 3 # three\n\n c = [\"x\", # one\n \"y\",\n]\nh = true\n",
        "d = { x = { a = \"1\" }, y = {} }\nb = -7",
        "[d.x]\na = \"1\"\n[d.y]\nb = 0\n[e]\n[e.e]\nb = 1\n",
        "[[f]]\na = \"1\"\n[f.d]\nx = 1\n[[f.f]]\nb = 2\n[[f.f]]\n[[f]]\n[[g]]\nb = 1\n[[g]]\n",
    ] {
        assert!(same::<Any>(text), "{text}");
    }
}

#[test]
fn what_is_not_plain_or_not_right_is_left_to_the_whole_of_toml() {
    for text in [
        "a = 'x'",
        "a = \"\"\"x\"\"\"",
        "a = \"\\n\"",
        "\"a\" = \"x\"",
        "b = 1_0",
        "b = 01",
        "b = 0x1",
        "b = +1",
        "b = 1.0",
        "a.b = 1",
        "a = \"x",
        "a = \"x\" b = 1",
        "a = \"x\"\na = \"y\"",
        "d = { y = {}, x = {} }",
        "[d]\n[d]",
        "[e.e]\n[e]",
        "[[f]]\n[e]\n[[f]]",
        "[d.x]\n[d.x]",
        "z = 1",
        "a = 1",
        "c = [\"x\" \"y\"]",
        "e = { a = \"x\", }",
        "a = \"x\"\r\n",
        "a = \"\u{7f}\"",
        "[e",
        "[e]x",
        "b = 9999999999999999999",
        "h = truer",
        "[[e]]",
        "e = {\n}",
        "[ e ]",
        "[e.]",
        "\u{feff}a = \"x\"",
        "b = 1979-05-27",
    ] {
        assert!(read::<Any>(text).is_none(), "{text}");
    }
}

proptest! {
    /// Texts made of what TOML is made of: what the plain reader takes, the whole of TOML takes too, and to the same end.
    #[test]
    fn whatever_is_read_is_read_alike(pieces in prop::collection::vec(prop::sample::select(vec![
        "a", "b", "c", "d", "e", "f", "x", " = ", "=", "\"s\"", "\"\"", "1", "-2", "0", "true", "[", "]", "[[", "]]", "{", "}", ", ", ".", "\n",
        "\n\n", "# c\n", " ", "\t", "[e]\n", "[[f]]\n", "[d.x]\n", "[d.y]\n", "[f.d]\n", "[[f.f]]\n", "a = \"s\"\n", "b = 1\n",
        "c = [\"x\", \"y\"]\n", "[e.e]\n", "[[g]]\n", "d = { x = {} }\n",
    ]), 0..14)) {
        same::<Any>(&pieces.concat());
    }
}
