//! `lockgate man`

use std::io::Write;

use clap::{Args, Command, CommandFactory};

use super::{Arguments, Failure};

#[derive(Args)]
pub struct Man {}

impl Man {
    /// The page of `lockgate`, and below it one of each subcommand.
    pub fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        let mut command = Arguments::command();
        command.build();
        page(&command, out)
    }
}

fn page(command: &Command, out: &mut dyn Write) -> Result<(), Failure> {
    clap_mangen::Man::new(command.clone()).render(out)?;
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        page(subcommand, out)?;
    }
    Ok(())
}
