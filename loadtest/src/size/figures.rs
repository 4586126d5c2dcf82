//! Makes a set, publishes all of it, starts a gateway on it and publishes single APIs; says how long that took.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::clock;

use super::set::{Addresses, Size, api_document, api_name, group_name};

/// What the gateway says when it serves.
const SERVES: &str = "published APIs";

#[derive(Args)]
pub struct Figures {
    #[command(flatten)]
    size: Size,
    /// The gateway to measure; default: beside this program
    #[arg(long)]
    gateway: Option<PathBuf>,
    /// Where the set is written, and taken away again; default: a temporary directory
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Publications of one API, each waited for
    #[arg(long, default_value_t = 20)]
    publications: usize,
}

pub fn figures(arguments: &Figures) -> Result<()> {
    let beside = || std::env::current_exe().map(|program| program.with_file_name("lockgate"));
    let gateway = arguments.gateway.clone().map_or_else(beside, Ok)?;
    let directory = match &arguments.directory {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let config = directory.path().join("config");
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let Size { groups, apis, apps } = arguments.size;
    arguments.size.write(&config, &Addresses { listen: format!("127.0.0.1:{port}"), backend_port: 9 })?;
    println!("{} APIs in {groups} groups, {apps} apps", groups * apis);
    let lockgate = |words: &[&str]| run(&gateway, &config, words);
    println!("publish --all      {:>8.0} ms", ms(lockgate(&["publish", "--all", "--remarks", "all"])?.1));
    println!("check              {:>8.0} ms", ms(lockgate(&["check"])?.1));
    // Stamps of files that were written a moment ago are not believed.
    std::thread::sleep(Duration::from_secs(4));
    let (running, took) = start(&gateway, &config)?;
    println!("start              {:>8.0} ms, {:.0} ms of them on a processor", ms(took), processor_ms(running.0.id())?);
    println!("memory             {:>8} MiB, at most {} MiB", status_mib(&running, "VmRSS")?, status_mib(&running, "VmHWM")?);
    println!("history            {:>8.0} ms", ms(lockgate(&["history", "group-0000/api-0000"])?.1));
    let (mut waited, mut receipts) = (Vec::new(), Vec::new());
    for publication in 0..arguments.publications {
        let (group, api) = (publication * 7 % groups, publication * 13 % apis);
        let name = format!("{}/{}", group_name(group), api_name(api));
        let draft = config.join("groups").join(group_name(group)).join(format!("apis/{}.toml", api_name(api)));
        fs::write(draft, api_document(group, api, 20_000 + publication))?;
        let (said, took) = lockgate(&["publish", &name, "--wait"])?;
        waited.push(took);
        let receipt = said.lines().find(|line| line.contains(" workers, ")).unwrap_or_default();
        receipts.push(receipt.rsplit(", ").next().unwrap_or_default().to_owned());
    }
    waited.sort_unstable();
    if let (Some(least), Some(most)) = (waited.first(), waited.last()) {
        let median = waited.get(waited.len() / 2).unwrap_or(most);
        println!("publish one --wait {:>8.0} ms (least {:.0}, most {:.0})", ms(*median), ms(*least), ms(*most));
        println!("  of that the gateway, by its receipts: {}", receipts.join(", "));
    }
    println!("memory             {:>8} MiB, at most {} MiB", status_mib(&running, "VmRSS")?, status_mib(&running, "VmHWM")?);
    Ok(())
}

/// Ended with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(gateway: &Path, config: &Path) -> Result<(Running, Duration)> {
    let since = clock::now();
    let mut command = Command::new(gateway);
    command.arg("run").arg("--config").arg(config).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().with_context(|| gateway.display().to_string())?);
    let mut lines = BufReader::new(running.0.stderr.take().context("its log")?).lines();
    for line in &mut lines {
        if line?.contains(SERVES) {
            let took = since.elapsed();
            std::thread::spawn(move || lines.for_each(drop));
            return Ok((running, took));
        }
    }
    bail!("the gateway does not start")
}

fn run(gateway: &Path, config: &Path, words: &[&str]) -> Result<(String, Duration)> {
    let since = clock::now();
    let output = Command::new(gateway).args(words).arg("--config").arg(config).output()?;
    let took = since.elapsed();
    match output.status.success() {
        true => Ok((String::from_utf8_lossy(&output.stdout).into_owned(), took)),
        false => bail!("lockgate {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr)),
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn status_mib(running: &Running, key: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", running.0.id()))?;
    let line = status.lines().find(|line| line.starts_with(key)).context("no such line in its status")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse::<u64>()? / 1024)
}

/// User and kernel time of a process so far.
fn processor_ms(id: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Ok((ticks(11) + ticks(12)) as f64 * 1000.0 / rustix::param::clock_ticks_per_second() as f64)
}
