//! A request costs no more than the figures that are kept say, of whichever build is being tested.

use std::process::Command;

#[test]
fn a_request_costs_what_is_kept() {
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest")).args(["counts", "--requests", "60"]).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
}
