//! The command line: one file a subcommand, without logic of its own.

mod api;
mod app;
mod authorize;
mod call;
mod change;
mod check;
mod completions;
mod curl_like;
mod demo;
mod diff;
mod draft;
mod dry_run;
mod egress;
mod explain;
mod explain_signature;
mod failure;
mod fmt;
mod format;
mod group;
mod history;
mod init;
mod limits;
mod man;
mod metrics;
mod policy;
mod progress;
mod publish;
mod quota;
mod reload;
mod rollback;
mod run;
mod schema;
mod service;
mod sign;
mod signals;
mod status;
mod vpc_access;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use failure::Failure;

/// Lockgate: an API gateway that lets signed and authorized calls through to private backends
#[derive(Parser)]
#[command(name = "lockgate", version, arg_required_else_help = true)]
pub struct Arguments {
    /// The config directory
    #[arg(long, global = true, value_name = "DIR", default_value = "config")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a config directory to begin with
    Init(init::Init),
    /// Check every document, and show every error
    Check(check::Check),
    /// Write documents in their canonical spelling
    Fmt(fmt::Fmt),
    /// Print what a kind of document may say, for editors and for people
    Schema(schema::Schema),
    /// Publish drafts to a stage
    Publish(publish::Publish),
    Diff(diff::Diff),
    History(history::History),
    Show(history::Show),
    Rollback(rollback::Rollback),
    Offline(rollback::Offline),
    Demo(demo::Demo),
    Call(call::Call),
    /// Run the gateway
    Run(run::Run),
    Reload(reload::Reload),
    Quota(quota::Quota),
    /// Sign a request and print its headers
    Sign(sign::Sign),
    /// Tell how a request is decided, step by step, and what decides
    Explain(explain::Explain),
    /// Show the string to sign of a raw request, and what is wrong with its signature
    ExplainSignature(explain_signature::ExplainSignature),
    /// VPC accesses: private addresses that APIs may be passed to
    #[command(subcommand)]
    VpcAccess(vpc_access::VpcAccess),
    /// API groups
    #[command(subcommand)]
    Group(group::Group),
    /// APIs
    #[command(subcommand)]
    Api(api::Api),
    /// Apps: who may call
    #[command(subcommand)]
    App(app::App),
    /// Policies: how many calls may pass
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Let an app call an API
    Authorize(authorize::Authorize),
    /// Print the addresses to allow in the backends' security group
    Egress(egress::Egress),
    /// Print every limit, with its unit and range
    Limits(limits::Limits),
    Status(status::Status),
    Metrics(metrics::Metrics),
    /// Print completions for a shell
    Completions(completions::Completions),
    /// Print the manual page
    Man(man::Man),
}

impl Command {
    fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Command::Init(command) => command.run(config, out),
            Command::Check(command) => command.run(config, out),
            Command::Fmt(command) => command.run(config, out),
            Command::Schema(command) => command.run(config, out),
            Command::Publish(command) => command.run(config, out),
            Command::Diff(command) => command.run(config, out),
            Command::History(command) => command.run(config, out),
            Command::Show(command) => command.run(config, out),
            Command::Rollback(command) => command.run(config, out),
            Command::Offline(command) => command.run(config, out),
            Command::Run(command) => command.run(config),
            Command::Reload(command) => command.run(config, out),
            Command::Quota(command) => command.run(config, out),
            Command::Demo(command) => command.run(config, out),
            Command::Call(command) => command.run(config, out),
            Command::Sign(command) => command.run(config, out),
            Command::Explain(command) => command.run(config, out),
            Command::ExplainSignature(command) => command.run(config, out),
            Command::VpcAccess(command) => command.run(config, out),
            Command::Group(command) => command.run(config, out),
            Command::Api(command) => command.run(config, out),
            Command::App(command) => command.run(config, out),
            Command::Policy(command) => command.run(config, out),
            Command::Authorize(command) => command.run(config, out),
            Command::Egress(command) => command.run(config, out),
            Command::Limits(command) => command.run(config, out),
            Command::Status(command) => command.run(config, out),
            Command::Metrics(command) => command.run(out),
            Command::Completions(command) => command.run(out),
            Command::Man(command) => command.run(out),
        }
    }
}

/// A text from a file as a terminal may have it: control characters escaped.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => plain.extend(character.escape_default()),
            false => plain.push(character),
        }
    }
    plain
}

/// Unix time, in milliseconds.
fn now_ms() -> Result<u64, Failure> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map(|since| since.as_millis() as u64).map_err(|error| Failure::new(format!("the system's clock: {error}")))
}

/// Parses the arguments and does what they say.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = io::stdout();
    let done = arguments.command.run(&arguments.config, &mut out).and_then(|()| out.flush().map_err(Failure::from));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
