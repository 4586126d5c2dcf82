//! Compiles the library that tests load before the program's own (`shim/faults.rs`): a C library, which Cargo does not make
//! of a package that Rust code depends on.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=shim/faults.rs");
    let variable = |name: &str| env::var_os(name).unwrap_or_else(|| panic!("Cargo sets {name}"));
    let library = Path::new(&variable("OUT_DIR")).join("libfaults.so");
    let mut compiler = Command::new(variable("RUSTC"));
    compiler.args(["--edition", "2024", "--crate-name", "faults", "--crate-type", "cdylib", "-D", "warnings"]);
    compiler.args(["-C", "panic=abort", "-C", "opt-level=2", "-C", "lto=fat", "shim/faults.rs", "-o"]).arg(&library);
    let status = compiler.status().expect("the compiler runs");
    assert!(status.success(), "shim/faults.rs does not compile");
    println!("cargo:rustc-env=FAULTS_LIBRARY={}", library.display());
}
