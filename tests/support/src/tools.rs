//! The programs that tests use. `tests/run` installs them and names them in `LOCKGATE_TEST_*`; without it they are
//! looked for where Debian puts them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
pub fn repository() -> &'static Path {
    let support = Path::new(env!("CARGO_MANIFEST_DIR"));
    support.parent().and_then(Path::parent).expect("this crate lies in tests/support")
}

fn named(variable: &str, usual: &str) -> PathBuf {
    std::env::var_os(variable).filter(|v| !v.is_empty()).map_or_else(|| PathBuf::from(usual), PathBuf::from)
}

fn test_tools() -> PathBuf {
    std::env::var_os("LOCKGATE_TEST_TOOLS").map_or_else(|| repository().join("target/test-tools"), PathBuf::from)
}

pub fn nginx() -> Command {
    Command::new(named("LOCKGATE_TEST_NGINX", "/usr/sbin/nginx"))
}

pub fn curl() -> Command {
    let mut curl = Command::new(named("LOCKGATE_TEST_CURL", "curl"));
    curl.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*"]);
    curl
}

/// A client of nghttp2.
pub fn nghttp() -> Command {
    Command::new(named("LOCKGATE_TEST_NGHTTP", "nghttp"))
}

/// A load generator of nghttp2.
pub fn h2load() -> Command {
    Command::new(named("LOCKGATE_TEST_H2LOAD", "h2load"))
}

pub fn openssl() -> Command {
    Command::new(named("LOCKGATE_TEST_OPENSSL", "openssl"))
}

/// What checks a page of metrics.
pub fn promtool() -> Command {
    let usual = test_tools().join("bin/promtool");
    let promtool = named("LOCKGATE_TEST_PROMTOOL", &usual.to_string_lossy());
    assert!(promtool.is_file(), "promtool is not installed: run tests/run once");
    Command::new(promtool)
}

/// The engine of a cluster.
pub(crate) fn redis_server() -> Command {
    let usual = test_tools().join("redis/redis-server");
    let program = named("LOCKGATE_TEST_REDIS", &usual.to_string_lossy());
    assert!(program.exists(), "redis-server is not installed: run tests/run once");
    Command::new(program)
}

/// A shell line, as a person pastes it.
pub fn sh(line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env("no_proxy", "*");
    shell
}

/// Python with one of the client packages that `tests/run` installed.
pub fn python_client(package: &str) -> Command {
    let directory = test_tools().join("python").join(package);
    assert!(directory.is_dir(), "the Python package {package} is not installed: run tests/run once");
    let mut python = python();
    python.env("PYTHONPATH", directory).env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

pub fn python() -> Command {
    let mut python = Command::new(named("LOCKGATE_TEST_PYTHON", "python3"));
    python.args(["-W", "ignore"]);
    python
}

pub fn node() -> Command {
    let mut node = Command::new(named("LOCKGATE_TEST_NODE", "node"));
    node.env("NODE_PATH", node_modules());
    node
}

pub fn node_modules() -> PathBuf {
    let directory = test_tools().join("node/node_modules");
    assert!(directory.is_dir(), "the npm client is not installed: run tests/run once");
    directory
}

/// The library that gives a process another wall clock.
pub fn faketime() -> PathBuf {
    let usual = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(|m| format!("/usr/lib/{m}/faketime/libfaketime.so.1"));
    let found = std::env::var_os("LOCKGATE_TEST_FAKETIME").filter(|v| !v.is_empty()).map(PathBuf::from);
    found
        .or_else(|| usual.iter().map(PathBuf::from).find(|p| p.exists()))
        .expect("libfaketime is not installed: run tests/run once")
}
