//! Lockgate: an API gateway data plane on io_uring, thread per core. The map of the house:

pub mod admin; // the operator's listener
pub mod catalog; // documents, typed and cross-referenced: a value that exists is valid
pub mod cluster; // gateways that count together: what this one asks of the engine that they share
pub mod command; // one file a subcommand
pub mod document; // files as written, with spans; diagnostics with file:line:column
pub mod explain; // one call, decided step by step, with the places that decide
pub mod gate; // the decision, pure: route, authenticate, authorize, admit, map
pub mod http; // wire formats, pure: head, framing, chunked, serialise
pub mod http2; // HTTP/2 spelled as HTTP/1.1: a stream as a connection of its own
pub mod lint; // what documents say and hardly mean: the warnings of `lockgate check`
pub mod live; // the running gateway kept on its files: watch, load, put in force, answer commands
pub mod net; // the facade over the runtime: streams, blocks, deadlines, clock
pub mod observe; // access log, metrics, status
pub mod proxy; // a connection's life: joins gate, http and upstream
pub mod publish; // draft -> stage; versions
pub mod replay; // an access log, decided again by other tables
pub mod state; // what outlives the process: files that processes share
pub mod sys; // the only system calls that no crate covers
pub mod tls; // TLS without I/O: handshakes by rustls, records, certificates
pub mod upstream; // VPC pools of a worker
pub mod worker; // a core: its thread, listeners, tables, drain
