//! The rules of the house that no compiler knows: who may import whom, where `unsafe` and panics may stand, how long a
//! file may be, what the dependencies may be, and that every promise of SPECIFICATION.md names a test that exists.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use lockgate_test_support::{Source, repository};
use serde_json::Value;

/// Who may import whom, besides itself. `command` may import everything; nothing imports `command`.
const IMPORTS: &[(&str, &[&str])] = &[
    ("live", &["worker", "catalog", "document", "observe", "net"]),
    ("worker", &["cluster", "state", "proxy", "gate", "http", "upstream", "tls", "observe", "catalog", "net", "sys"]),
    ("admin", &["cluster", "gate", "http", "upstream", "observe", "net", "sys"]),
    // What a node asks of the engine that its cluster shares.
    ("cluster", &["gate", "catalog", "net", "observe"]),
    ("proxy", &["cluster", "gate", "http", "http2", "upstream", "tls", "observe", "catalog", "net", "sys"]),
    ("upstream", &["http", "http2", "tls", "observe", "catalog", "net", "sys"]),
    ("http2", &["http", "net", "sys"]),
    // The thin facade over the runtime; of `http` it takes the format of dates.
    ("net", &["http", "tls", "sys"]),
    // Of `tls`, what a client has shown of itself; of `sys`, asking for memory ahead.
    ("gate", &["http", "catalog", "tls", "sys"]),
    ("publish", &["catalog", "document", "sys"]),
    ("lint", &["catalog", "document", "tls"]),
    ("explain", &["gate", "http", "catalog", "document", "tls"]),
    ("replay", &["gate", "http", "catalog"]),
    ("catalog", &["document", "http", "tls"]),
    ("document", &[]),
    // Masks over many bytes at once, which are `unsafe` to ask a processor for.
    ("http", &["sys"]),
    ("observe", &["sys"]),
    // Files of what the gate counts.
    ("state", &["gate", "catalog", "sys"]),
    // Bytes and keys come in, bytes go out.
    ("tls", &[]),
    ("sys", &[]),
];

/// Bytes, tables, counters and `now` come in, a value goes out.
const PURE: &[&str] = &["gate", "http"];
const IMPURE: &[&str] = &[
    "monoio",
    "Instant",
    "SystemTime",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "thread_local!",
    "static",
    "OnceLock",
    "LazyLock",
    "libc",
    "getrandom",
    "println!",
    "eprintln!",
];

/// Files outside `sys/` that may hold `unsafe`, with the reason.
const UNSAFE: &[(&str, &str)] = &[
    ("src/net/block.rs", "blocks are lent to the kernel through the runtime's traits of buffers"),
    ("src/net/boxes.rs", "futures of any kind live in memory that is used again"),
    ("src/net/stream.rs", "the runtime wants exclusive borrows where it only clones a descriptor"),
    ("src/net/tasks.rs", "a waker that is no more than a number, which only a table of functions can be"),
];

/// Modules in which nothing may panic.
const NO_PANIC: &[&str] = &["gate", "http", "http2", "proxy", "tls", "upstream", "worker"];
const PANICS: &[&str] = &[".unwrap()", ".expect(", ".unwrap_err()", "panic!", "todo!", "unimplemented!", "unreachable!"];

/// Panics that stay: file, part of the line, and why it cannot happen or must end the process.
const PANICS_ALLOWED: &[(&str, &str, &str)] =
    &[("src/gate/authenticate/signature.rs", ".expect(\"HMAC takes a key of any length\")", "no key length is refused; at load")];

const MOST_LINES: usize = 500;

/// What the root of the repository holds, besides what is made there.
const ROOT: &[&str] = &[
    ".ci",
    ".config",
    ".gitattributes",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "METRICS.md",
    "README.md",
    "SPECIFICATION.md",
    "benches",
    "clippy.toml",
    "config",
    "deny.toml",
    "fuzz",
    "loadtest",
    "rustfmt.toml",
    "src",
    "tests",
];

/// Where words are put to standard error: what the gateway says that it does is listed in `observe/event.rs`.
const SAID: &[&str] = &["src/observe/event.rs", "src/observe/log.rs"];

/// Where the packages that hear only from the gateway may be used.
const CONFINED: &[(&str, &[&str])] = &[("monoio_http", &["src/command/demo", "loadtest/"])];

fn report(rule: &str, faults: Vec<String>) {
    assert!(faults.is_empty(), "{rule}\n{}", faults.join("\n"));
}

fn in_module<'a>(sources: &'a [Source], modules: &'a [&str]) -> impl Iterator<Item = &'a Source> {
    sources.iter().filter(|s| s.module().first().is_some_and(|m| modules.contains(m)))
}

#[test]
fn modules_import_only_what_they_may() {
    let sources = Source::below("src");
    let modules: BTreeSet<&str> = sources.iter().filter_map(|s| s.module().first().copied()).collect();
    let mut faults = Vec::new();
    for source in &sources {
        let Some(&own) = source.module().first() else { continue };
        if own == "command" {
            continue;
        }
        let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| *name == own) else {
            faults.push(format!("{}: module `{own}` has no line in IMPORTS", source.path));
            continue;
        };
        for (line, name) in source.imports() {
            if name != own && modules.contains(name.as_str()) && !allowed.contains(&name.as_str()) {
                faults.push(format!("{}:{line}: `{own}` may not import `{name}`", source.path));
            }
        }
    }
    report("who may import whom (tests/tidy.rs, IMPORTS):", faults);
}

#[test]
fn the_decision_and_the_wire_formats_are_pure() {
    let sources = Source::below("src");
    let mut faults = Vec::new();
    for source in in_module(&sources, PURE) {
        for word in IMPURE {
            for (line, text) in source.lines_with(&source.shipped, word) {
                // `&'static` is a lifetime, not a global; a table of constants is no state.
                let table = |text: &str| text.contains(": [bool; 256] = ") || text.contains(": [Lanes; ");
                let global = |text: &str| text.starts_with("static ") && !table(text);
                if *word != "static" || global(text.trim_start().trim_start_matches("pub ")) {
                    faults.push(format!("{}:{line}: {}", source.path, text.trim()));
                }
            }
        }
    }
    report("gate/ and http/ take no runtime, clock, socket, file or global:", faults);
}

#[test]
fn unsafe_stands_in_sys_with_its_reason() {
    let mut faults = Vec::new();
    for source in Source::below("src") {
        let allowed = source.path.starts_with("src/sys/") || UNSAFE.iter().any(|(path, _)| *path == source.path);
        let lines: Vec<_> = source.text.lines().collect();
        for (line, text) in source.lines_with(&source.code, "unsafe") {
            let noted = lines[line.saturating_sub(7)..line].iter().any(|l| l.contains("SAFETY:") || l.contains("# Safety"));
            if !allowed {
                faults.push(format!("{}:{line}: unsafe outside sys/: {}", source.path, text.trim()));
            } else if !noted {
                faults.push(format!("{}:{line}: unsafe without a SAFETY: note", source.path));
            }
        }
    }
    report("unsafe:", faults);
}

#[test]
fn nothing_panics_on_the_path_of_a_request() {
    let sources = Source::below("src");
    let mut faults = Vec::new();
    for source in in_module(&sources, NO_PANIC) {
        for word in PANICS {
            for (line, text) in source.lines_with(&source.shipped, word) {
                if !PANICS_ALLOWED.iter().any(|(path, part, _)| *path == source.path && text.contains(part)) {
                    faults.push(format!("{}:{line}: {}", source.path, text.trim()));
                }
            }
        }
    }
    report("panics:", faults);
}

#[test]
fn allowances_are_still_needed() {
    let read = |path: &str| fs::read_to_string(repository().join(path)).unwrap_or_default();
    let mut faults = Vec::new();
    faults.extend(UNSAFE.iter().filter(|(path, _)| !read(path).contains("unsafe")).map(|(path, _)| format!("UNSAFE: {path}")));
    let stale = PANICS_ALLOWED.iter().filter(|(path, part, _)| !read(path).contains(part));
    faults.extend(stale.map(|(path, part, _)| format!("PANICS_ALLOWED: {path}: {part}")));
    report("no longer needed in tests/tidy.rs:", faults);
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut faults = Vec::new();
    for directory in ["src", "tests", "benches", "loadtest", "fuzz"] {
        for source in Source::below(directory).iter().filter(|s| !s.path.contains("/target/")) {
            let lines = source.text.lines().count();
            if lines > MOST_LINES {
                faults.push(format!("{}: {lines} lines, at most {MOST_LINES}", source.path));
            }
            // A file of tests beside its module is told by its module.
            if !source.text.starts_with("//!") && !source.path.ends_with("/tests.rs") {
                faults.push(format!("{}: begins without a `//!` that says what it is for", source.path));
            }
        }
    }
    report("files:", faults);
}

/// What is committed at the root; nothing, where the sources lie outside a repository. What else a machine puts there is
/// its own affair.
fn committed_at_the_root() -> BTreeSet<String> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(repository()).output();
    let Ok(output) = listed else { return BTreeSet::new() };
    let paths = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    paths.split('\0').map(first).filter(|name| !name.is_empty()).collect()
}

#[test]
fn the_root_holds_what_is_listed() {
    let committed = committed_at_the_root();
    let strays = committed.iter().filter(|name| !ROOT.contains(&name.as_str()));
    let mut faults: Vec<_> = strays.map(|name| format!("{name} has no line in ROOT")).collect();
    faults.extend(ROOT.iter().filter(|name| !repository().join(name).exists()).map(|name| format!("{name} is gone")));
    report("the root of the repository (tests/tidy.rs, ROOT):", faults);
}

#[test]
fn what_is_said_is_in_one_list() {
    let mut faults = Vec::new();
    for source in Source::below("src").iter().filter(|source| !SAID.contains(&source.path.as_str())) {
        for (line, text) in source.lines_with(&source.shipped, "tracing") {
            faults.push(format!("{}:{line}: {}", source.path, text.trim()));
        }
    }
    report("events are in observe/event.rs, with their names and sentences:", faults);
}

#[test]
fn nothing_is_left_unfinished() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("dbg", "!("), concat!("allow(dead", "_code)")];
    let mut faults = Vec::new();
    for directory in ["src", "tests", "benches", "loadtest", "fuzz"] {
        for source in Source::below(directory).iter().filter(|s| !s.path.contains("/target/")) {
            for word in words {
                for (line, text) in source.lines_with(&source.text, word) {
                    faults.push(format!("{}:{line}: {}", source.path, text.trim()));
                }
            }
        }
    }
    report("unfinished:", faults);
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    let words = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("arti", "factory"),
        concat!("registry.npm", "js.org"),
        concat!("files.python", "hosted.org"),
        concat!("index.crates", ".io"),
    ];
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(repository()).output().expect("git runs");
    assert!(listed.status.success(), "the files of the repository are listed by git");
    let mut faults = Vec::new();
    for file in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
        let Ok(text) = fs::read_to_string(repository().join(file)) else { continue };
        for (i, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                faults.push(format!("{file}:{}: {}", i + 1, line.chars().take(160).collect::<String>()));
            }
        }
    }
    report("paths of one machine, hosts of registries:", faults);
}

/// Each list item and table row of SPECIFICATION.md names, in back-quotes, the file of the test or bench that holds
/// it, and usually the function: `tests/routing.rs::the_longest_base_path_wins`.
#[test]
fn every_promise_names_what_holds_it() {
    let Ok(text) = fs::read_to_string(repository().join("SPECIFICATION.md")) else { return };
    let lines: Vec<_> = text.lines().collect();
    let mut faults = Vec::new();
    // The first cell of a table's row, where it is the number of a promise.
    let number = |line: &str| {
        line.strip_prefix("| ")?
            .split(' ')
            .next()
            .filter(|n| n.ends_with(|c: char| c.is_ascii_digit()) && n.starts_with(|c: char| c.is_ascii_uppercase()))
            .map(str::to_owned)
    };
    let mut numbers = BTreeSet::new();
    for (i, line) in lines.iter().enumerate() {
        if number(line).is_some_and(|number| !numbers.insert(number)) {
            faults.push(format!("SPECIFICATION.md:{}: its number is taken: {line}", i + 1));
        }
        let separator = |l: &str| l.starts_with('|') && l.chars().all(|c| "|-: ".contains(c));
        let heads_a_table = lines.get(i + 1).is_some_and(|next| separator(next));
        let promise = line.starts_with("- ") || (line.starts_with('|') && !separator(line) && !heads_a_table);
        if !promise {
            continue;
        }
        let names: Vec<_> =
            line.split('`').skip(1).step_by(2).filter(|n| n.contains(".rs") || n.starts_with("loadtest/")).collect();
        if names.is_empty() {
            faults.push(format!("SPECIFICATION.md:{}: names no test: {line}", i + 1));
        }
        for name in names {
            let mut parts = name.split("::");
            let file = parts.next().unwrap_or_default();
            let held = fs::read_to_string(repository().join(file)).ok();
            let function = parts.last().map(|f| format!("fn {f}("));
            let there = |text: &String| function.as_ref().is_none_or(|f| text.contains(f.as_str()) || text.contains(name));
            let measured = name.starts_with("loadtest/") && repository().join(file).exists();
            if !measured && !held.as_ref().is_some_and(there) {
                faults.push(format!("SPECIFICATION.md:{}: there is no `{name}`", i + 1));
            }
        }
    }
    report("promises:", faults);
}

#[test]
fn packages_stay_where_they_may_be_used() {
    let mut faults = Vec::new();
    for source in ["src", "benches", "loadtest", "fuzz"].iter().flat_map(|d| Source::below(d)) {
        for (package, places) in CONFINED {
            for (line, _) in source.lines_with(&source.code, package) {
                if !places.iter().any(|p| source.path.starts_with(p)) {
                    faults.push(format!("{}:{line}: `{package}` is for {}", source.path, places.join(", ")));
                }
            }
        }
    }
    report("packages that are not sound at an edge:", faults);
}

const LICENCES: &[&str] = &[
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "Apache-2.0 WITH LLVM-exception",
    "Unlicense",
    "OpenSSL",
    "CDLA-Permissive-2.0",
];

/// Packages of which two versions in one binary would be a fault, not only a waste. `rustls` is not among them: the
/// demo's backend brings an old one, and never calls it.
const ONCE: &[&str] = &["monoio", "io-uring", "httparse", "hmac", "sha2", "digest", "serde", "mimalloc", "aws-lc-rs", "h2"];

fn licensed(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], "").replace('/', " OR ");
    flat.split(" OR ").any(|one| one.split(" AND ").all(|l| LICENCES.contains(&l.trim())))
}

/// The dependencies, as `deny.toml` says it for cargo-deny, checked here without it.
#[test]
fn dependencies_keep_to_the_rules() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON");
    let used: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().into_iter().flatten().filter_map(|n| n["id"].as_str()).collect();
    let packages =
        || metadata["packages"].as_array().into_iter().flatten().filter(|p| p["id"].as_str().is_some_and(|i| used.contains(i)));
    let mut faults = Vec::new();
    for package in packages() {
        let name =
            format!("{} {}", package["name"].as_str().unwrap_or_default(), package["version"].as_str().unwrap_or_default());
        let licence = package["license"].as_str().unwrap_or_default();
        if !licensed(licence) {
            faults.push(format!("{name}: licence `{licence}`"));
        }
        match package["source"].as_str() {
            None => {}
            Some(source) if source.starts_with("registry+https://github.com/rust-lang/crates.io-index") => {}
            Some(source) => faults.push(format!("{name}: from {source}")),
        }
    }
    for once in ONCE {
        let versions: Vec<_> = packages().filter(|p| p["name"] == **once).filter_map(|p| p["version"].as_str()).collect();
        if versions.len() > 1 {
            faults.push(format!("{once}: in versions {}", versions.join(" and ")));
        }
    }
    report("dependencies:", faults);
}
