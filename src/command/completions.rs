//! `lockgate completions`

use std::io::Write;

use clap::{Args, CommandFactory};

use super::{Arguments, Failure};

#[derive(Args)]
pub struct Completions {
    shell: clap_complete::Shell,
}

impl Completions {
    pub fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "lockgate", &mut script);
        Ok(out.write_all(&script)?)
    }
}
