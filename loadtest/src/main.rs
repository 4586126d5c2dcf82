//! Load for Lockgate and its peers. `compare` is the one command that does it all; the others are its parts, usable
//! alone. Start reading in `compare/mod.rs`.

mod answer;
mod arrivals;
mod backend;
mod clock;
mod compare;
mod counts;
mod launch;
mod load;
mod mark;
mod multiplex;
mod payload;
mod relay;
mod request;
mod ring;
mod signature;
mod size;
mod transport;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "loadtest", about, version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send requests over keep-alive connections as fast as they are answered, and check every answer
    Load(load::Arguments),
    /// Answer every request with as many bytes as the last segment of its path says
    Backend(backend::Arguments),
    /// Carry bytes between clients and a backend without reading them
    Relay(relay::Arguments),
    /// Measure the gateway beside other proxies and print what each request costs them
    Compare(compare::Arguments),
    /// Make a page of plots, and a table, of what comparisons have found
    Report(compare::page::Arguments),
    /// Write a config directory of a given size
    Generate(size::Generate),
    /// Measure how the gateway starts and follows publications at size
    Size(size::Figures),
    /// Count what a request costs the gateway, and compare with the figures kept
    Counts(counts::Arguments),
    /// Pin this process to a core, tie its life to its parent's, and become another program
    #[command(hide = true)]
    Launch(launch::Arguments),
}

fn main() -> Result<()> {
    match CommandLine::parse().command {
        Command::Load(arguments) => load::run(&arguments),
        Command::Backend(arguments) => backend::run(&arguments),
        Command::Relay(arguments) => relay::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Report(arguments) => compare::page::run(&arguments),
        Command::Generate(arguments) => size::generate(&arguments),
        Command::Size(arguments) => size::figures(&arguments),
        Command::Counts(arguments) => counts::run(&arguments),
        Command::Launch(arguments) => launch::run(&arguments),
    }
}
