//! What the integration tests share: the built gateway as a process on a configuration directory of its own, backends
//! (a real nginx, or a scripted one that keeps the bytes it received), and a client that sends bytes as they are.
//!
//! Start at [`Config`]: it writes the documents, publishes them with the real command and starts the gateway.
//! All traffic stays on 127.0.0.1; nothing sleeps for a fixed time, everything waits for a condition with a deadline.

mod api;
mod backend;
mod client;
mod config;
mod corpus;
mod delay;
mod faults;
mod gateway;
mod http2;
mod message;
mod nginx;
mod ports;
mod process;
mod redis;
mod sign;
mod source;
mod tls;
mod tls_server;
mod tools;
mod usage;
mod wait;

pub use api::{Api, App};
pub use backend::{Backend, Peer};
pub use client::{Client, Request, connect_from};
pub use config::Config;
pub use corpus::{Case, corpus};
pub use delay::DelayedPeer;
pub use faults::{Call, Fault, counted, read_trace, traced, with_fault};
pub use gateway::{Gateway, lockgate, read_log, succeeds};
pub use http2::{Answering, Begun, Frame, FrameClient, FramePeer, Http2Client, fields_block};
pub use message::{Message, Reader, chunked, split_head};
pub use nginx::Nginx;
pub use ports::{Port, reserve};
pub use process::Process;
pub use redis::Redis;
pub use sign::{Digest, Signer, hex_md5, md5_base64};
pub use source::Source;
pub use tls::{Authority, CERTIFICATE, DOMAINS, Identity, KeyKind, TlsClient, client_config, s_client, secured, secured_with};
pub use tls_server::{TlsPeer, TlsServer};
pub use tools::{
    curl, faketime, h2load, nghttp, nginx, node, node_modules, openssl, promtool, python, python_client, repository, sh,
};
pub use usage::{Base, lower_priority, thread_ms};
pub use wait::{DEADLINE, Deadline, eventually, now_ms};
