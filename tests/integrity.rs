//! What was published stays as it was: a byte that changed, a file that is gone or not what it should be is named.

mod sample;

use std::fs;

use lockgate::catalog;
use lockgate::document::digest;
use lockgate::document::manifest::body;
use sample::Sample;

const ROOT: &str = "published/manifest.toml";
const GROUP: &str = "published/RELEASE/nginx-demo/1.toml";

/// The one published version of the sample.
fn version_path(sample: &Sample) -> String {
    let manifest = sample.read(GROUP);
    format!("published/RELEASE/nginx-demo/nginx-test/{}.toml", manifest.split('"').nth(1).unwrap())
}

/// What the loader says.
fn report(sample: &Sample) -> String {
    catalog::load(&sample.path("")).err().map(|report| report.to_string()).unwrap_or_default()
}

/// Makes the digests of the manifests agree with what they were edited to; `of_group`: of the group's too.
fn seal(sample: &Sample, of_group: bool) {
    let mut text = sample.read(ROOT);
    if of_group {
        let sha256 = digest(&sample.read(GROUP));
        let start = text.rfind("sha256 = \"").unwrap() + "sha256 = \"".len();
        text.replace_range(start..start + sha256.len(), &sha256);
    }
    let stated = text.lines().nth(1).unwrap().to_owned();
    let sealed = format!("sha256 = \"{}\"", digest(body(&text).unwrap()));
    fs::write(sample.path(ROOT), text.replacen(&stated, &sealed, 1)).unwrap();
}

#[test]
fn a_damaged_version_is_named_and_publishing_mends_it() {
    let sample = Sample::new();
    let damaged = version_path(&sample);
    sample.edit(&damaged, "timeout_ms = 10000", "timeout_ms = 10001");
    let said = sample.fails(&["check"]);
    assert!(said.contains("this published file is damaged"), "{said}");
    assert!(said.contains(&format!("{damaged}:1:1")) && said.contains("nginx-demo/1.toml:3:14"), "{said}");
    sample.ok(&["publish", "nginx-demo/nginx-test"]);
    sample.ok(&["check"]);
}

/// Versions of other APIs are read where one of them may be in the way, and not for every publication.
#[test]
fn a_publication_reads_other_versions_where_they_may_be_in_the_way() {
    let sample = Sample::new();
    let draft = "groups/nginx-demo/apis/other.toml";
    let other = sample.read("groups/nginx-demo/apis/nginx-test.toml").replace("name = \"nginx-test\"", "name = \"other\"");
    let path = "path = \"/";
    fs::write(sample.path(draft), other.replacen(path, "path = \"/other/", 1)).unwrap();
    sample.ok(&["publish", "nginx-demo/other"]);
    let first = version_path(&sample);
    sample.edit(&first, "timeout_ms = 10000", "timeout_ms = 10001");
    // It answers as it did.
    sample.edit(draft, "timeout_ms = 10000", "timeout_ms = 500");
    sample.ok(&["publish", "nginx-demo/other"]);
    sample.ok(&["rollback", "nginx-demo/other"]);
    // It would answer elsewhere, or by another method.
    for (from, to) in [("/other/", "/another/"), ("\"GET\"  ", "\"ANY\"  ")] {
        sample.edit(draft, from, to);
        let said = sample.fails(&["publish", "nginx-demo/other"]);
        assert!(said.contains("this published file is damaged") && said.contains(&first), "{said}");
        sample.edit(draft, to, from);
    }
    sample.ok(&["publish", "nginx-demo/nginx-test"]);
    sample.ok(&["check"]);
}

#[test]
fn a_version_that_is_gone_is_named() {
    let sample = Sample::new();
    fs::remove_file(sample.path(&version_path(&sample))).unwrap();
    let said = sample.fails(&["check"]);
    assert!(said.contains("is not there") && said.contains("nginx-demo/1.toml:3:14"), "{said}");
}

/// Manifests that agree with their digests, and make no sense all the same.
#[test]
fn what_mends_a_damaged_file_is_said() {
    for (file, from, help) in [
        (ROOT, "generation = 1, sha256 = \"", "restore the file; or put an older root of `published/generations/`"),
        (GROUP, "file_sha256 = \"", "publish the API again, or restore the file"),
    ] {
        let sample = Sample::new();
        sample.edit(file, from, &format!("{from}0"));
        seal(&sample, file == GROUP);
        let text = report(&sample);
        assert!(text.contains("this published file is damaged") && text.contains(help), "{text}");
    }
}

#[test]
fn manifests_are_checked_beyond_their_digests() {
    for (file, from, to, error, place) in [
        (
            ROOT,
            "nginx-demo = { gen",
            "nginx = { gen",
            "the manifest of group `nginx` in RELEASE is not there",
            "manifest.toml:13:9",
        ),
        (ROOT, "nginx-demo = { gen", "\"../x\" = { gen", "`../x` is not a name", "manifest.toml:13:10"),
        (
            ROOT,
            "{ generation = 1",
            "{ generation = 2",
            "the manifest of group `nginx-demo` in RELEASE is not",
            "manifest.toml:13:14",
        ),
        (ROOT, "generation = 1, sha256 = \"", "generation = 1, sha256 = \"0", "this published file is damaged", "1.toml:1:1"),
        (GROUP, "{ version = \"2", "{ version = \"3", "the published version 30", "1.toml:3:14"),
        (GROUP, "{ version = \"2", "{ version = \"../../2", "`../../2", "1.toml:3:14"),
        (GROUP, "file_sha256 = \"", "file_sha256 = \"0", "this published file is damaged", ".toml:1:1"),
        (GROUP, "version = ", "versoin = ", "unknown key `versoin`", "1.toml:3:16"),
    ] {
        let sample = Sample::new();
        sample.edit(file, from, to);
        seal(&sample, file == GROUP);
        let text = report(&sample);
        let found = text.contains(&format!("error: {error}")) && text.contains(&format!("{place}\n"));
        assert!(found, "wanted `{error}` at {place}, got\n{text}");
    }
    let sample = Sample::new();
    fs::remove_dir_all(sample.path("groups/nginx-demo")).unwrap();
    assert!(report(&sample).contains("there is no group `nginx-demo`"), "{}", report(&sample));
}
