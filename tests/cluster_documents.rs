//! `[cluster]` of `gateway.toml`: its errors, each at its place.

mod sample;

use std::fs;

use lockgate::catalog;
use sample::Sample;

const GOOD: &str = "\n[cluster]\naddresses = [\"127.0.0.1:6379\"]\nsecret_file = \"cluster-secret\"\n";

/// The sample with this table at the end of the file; on which line it begins.
fn sample(from: &str, to: &str) -> (Sample, usize) {
    let sample = Sample::new();
    fs::write(sample.path("cluster-secret"), "0123456789abcdef-secret\n").unwrap();
    fs::write(sample.path("short"), "0123-secret\n").unwrap();
    fs::write(sample.path("empty"), "\n").unwrap();
    let text = sample.read("gateway.toml");
    let first = text.lines().count() + 2;
    fs::write(sample.path("gateway.toml"), text + GOOD).unwrap();
    sample.edit("gateway.toml", from, to);
    (sample, first)
}

fn report(sample: &Sample) -> String {
    catalog::load(&sample.path("")).err().map(|report| report.to_string()).unwrap_or_default()
}

#[test]
fn every_error_names_its_place() {
    sample("", "").0.ok(&["--config", "config", "check"]);
    let forms = "addresses = [\"s1:26379\", \"[::1]:26379\"]\nform = \"sentinel\"\nsentinel_master = \"main\"";
    sample("addresses = [\"127.0.0.1:6379\"]", forms).0.ok(&["--config", "config", "check"]);
    let shown = sample("secret_file", "form = \"sentinel\"\nsecret_file").0.fails(&["--config", "config", "check"]);
    assert!(shown.contains("help: add `sentinel_master`"), "{shown}");
    // What is changed, the error, and its place: lines from that of `[cluster]` on.
    let cases = [
        ("[\"127.0.0.1:6379\"]", "[]", "the engine has no address", (1, 13)),
        ("127.0.0.1:6379", "127.0.0.1", "`127.0.0.1` is not an address of an engine", (1, 14)),
        ("127.0.0.1:6379", "redis://127.0.0.1:6379", "`redis://127.0.0.1:6379` is not an address of an engine", (1, 14)),
        ("127.0.0.1:6379", "user:pw@host:6379", "`user:pw@host:6379` is not an address of an engine", (1, 14)),
        ("127.0.0.1:6379", "127.0.0.1:0", "`127.0.0.1:0` is not an address of an engine", (1, 14)),
        ("6379\"]", "6379\", \"127.0.0.1:6379\"]\nform = \"cluster\"", "this address is listed twice", (1, 32)),
        ("6379\"]", "6379\", \"127.0.0.1:6380\"]", "one engine has one address", (1, 13)),
        ("secret_file = \"cluster-secret\"\n", "", "the key `secret_file` is missing", (0, 1)),
        ("\"cluster-secret\"", "\"none\"", "", (2, 15)),
        ("\"cluster-secret\"", "\"empty\"", "this file is empty", (2, 15)),
        ("\"cluster-secret\"", "\"short\"", "this secret is shorter than 16 characters", (2, 15)),
        ("secret_file", "wait_ms = 0\nsecret_file", "wait_ms = 0 is out of range", (2, 11)),
        ("secret_file", "nodes = 0\nsecret_file", "nodes = 0 is out of range", (2, 9)),
        ("secret_file", "form = \"ring\"\nsecret_file", "`ring` is not a value of this key", (2, 8)),
        ("secret_file", "form = \"sentinel\"\nsecret_file", "Sentinels are asked for an engine by its name", (1, 13)),
        ("secret_file", "sentinel_master = \"m\"\nsecret_file", "only Sentinels are asked for an engine by its name", (2, 19)),
        ("secret_file", "key_prefix = \"{a}\"\nsecret_file", "keys in the engine cannot begin so", (2, 14)),
        ("secret_file", "on_engine_loss = \"share\"\nsecret_file", "`share` is not a value of this key", (2, 18)),
        (
            "secret_file",
            "nonces_on_engine_loss = \"local-share\"\nsecret_file",
            "`local-share` is not a value of this key",
            (2, 25),
        ),
        ("secret_file", "tls = { key = \"short\" }\nsecret_file", "a certificate and its key go together", (2, 15)),
        ("secret_file", "tls = { authorities = \"short\" }\nsecret_file", "", (2, 23)),
    ];
    let mut wrong = String::new();
    for (from, to, error, (line, column)) in cases {
        let (sample, first) = sample(from, to);
        let text = report(&sample);
        let place = format!("gateway.toml:{}:{column}", first + line);
        let found = text.contains(&format!("error: {error}")) && text.lines().any(|line| line.ends_with(&place));
        if !found || text.matches("error: ").count() > 1 || text.contains("0123") {
            wrong.push_str(&format!("wanted `{error}` at {place}, alone and without secrets, got\n{text}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
