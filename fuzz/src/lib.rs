//! Differential fuzzing of what stands at the edge: the readers of HTTP/1.1, and the loader of documents. On the stable
//! toolchain, deterministic by its seed.
//!
//! Start at [`targets`]: what is judged, and by whom. `cargo run -p lockgate-fuzz --release -- --seconds 3600` looks for
//! faults; `fuzz/tests/short.rs` does so for a moment in the test run, and judges every input that was kept.

pub mod campaign; // generate, mutate, judge, keep
pub mod deliberate; // what the RFC allows and the gateway refuses
pub mod gateway; // the gateway's own code, without sockets
pub mod generate; // inputs by the grammar
pub mod lenient; // readers that are wrong in known ways
pub mod mutate; // changes to bytes
pub mod oracle; // a slow reader, written from the RFCs
pub mod random; // numbers from a seed
pub mod seeds; // inputs to begin with
pub mod targets; // what is fuzzed
