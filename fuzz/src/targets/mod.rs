//! What is fuzzed. A target judges one input: how it came out, in a few words, or what is wrong.

mod chunked;
pub mod documents;
mod head;
mod response;
mod tls;
mod uri;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::gateway::Gateway;
use crate::generate;
use crate::random::Random;

/// How an input came out: statistics count these, and an input with a new one is kept for mutation.
pub type Judgement = Result<String, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// Requests on a client's connection, and what is forwarded of them
    Head,
    /// Chunked bodies
    Chunked,
    /// Answers of backends, and what is relayed of them
    Response,
    /// Request targets, hosts, escapes
    Target,
    /// Documents of a config directory
    Documents,
    /// First messages of TLS clients
    Hello,
    /// Records of established TLS connections
    Records,
}

impl Target {
    pub const ALL: [Target; 7] =
        [Target::Head, Target::Chunked, Target::Response, Target::Target, Target::Documents, Target::Hello, Target::Records];

    pub fn name(self) -> &'static str {
        match self {
            Target::Head => "head",
            Target::Chunked => "chunked",
            Target::Response => "response",
            Target::Target => "target",
            Target::Documents => "documents",
            Target::Hello => "hello",
            Target::Records => "records",
        }
    }

    /// A new input, right or nearly right.
    pub fn generate(self, random: &mut Random) -> Vec<u8> {
        match self {
            Target::Head => generate::requests(random),
            Target::Chunked => generate::chunked(random),
            Target::Response => generate::response(random),
            Target::Target => generate::target_line(random),
            Target::Documents => generate::document(random),
            Target::Hello => generate::hello(random),
            Target::Records => generate::records(random),
        }
    }
}

/// What judging needs, made once.
#[derive(Default)]
pub struct Judge {
    gateway: Gateway,
}

impl Judge {
    /// Judges an input; a panic is a fault like any other.
    pub fn judge(&mut self, target: Target, input: &[u8]) -> Judgement {
        let judged = catch_unwind(AssertUnwindSafe(|| match target {
            Target::Head => head::judge(&mut self.gateway, input),
            Target::Chunked => chunked::judge(input),
            Target::Response => response::judge(input),
            Target::Target => uri::judge(&mut self.gateway, input),
            Target::Documents => documents::judge(input),
            Target::Hello => tls::judge_hello(input),
            Target::Records => tls::judge_records(input),
        }));
        judged.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("panic: {}", text.unwrap_or("of an unknown kind")))
        })
    }
}

/// A fault when the two differ.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, theirs: T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: ours {ours:?}, expected {theirs:?}")) }
}
