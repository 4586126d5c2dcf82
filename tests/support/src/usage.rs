//! What a gateway's process uses, as the kernel counts it.

use std::fs;
use std::process::Command;

use crate::gateway::{Gateway, succeeds};
use crate::wait::eventually;

/// Ticks of the kernel's accounting in a second (`USER_HZ`, the same on every Linux we run on).
const TICKS: u64 = 100;

/// What a gateway has open when nobody is connected.
pub struct Base {
    descriptors: usize,
}

/// At the descriptors, a few milliseconds apart.
const LOOKS: usize = 60;

/// Metrics that are 0 when nothing is under way.
const UNDER_WAY: [&str; 3] =
    ["lockgate_connections_open", "lockgate_upstream_idle_connections", "lockgate_upstream_calls_in_flight"];

/// Processor time of a line of `stat`, in milliseconds.
fn processor_ms(stat: &str) -> u64 {
    // After the name, which may hold blanks: user and system time are the 14th and 15th field of the line.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let times = after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number of ticks"));
    times.sum::<u64>() * 1000 / TICKS
}

/// Processor time of this thread so far, in milliseconds.
pub fn thread_ms() -> u64 {
    processor_ms(&fs::read_to_string("/proc/thread-self/stat").expect("a thread knows itself"))
}

/// From now on every other thread of the machine goes before this one.
pub fn lower_priority() {
    let thread = fs::read_link("/proc/thread-self").expect("a thread knows itself");
    let number = thread.file_name().expect("it ends with its number");
    succeeds(Command::new("renice").args(["-n", "19", "-p"]).arg(number));
}

impl Gateway {
    /// Of a gateway with an operator's listener that nobody has called yet.
    pub fn base(&self) -> Base {
        self.wait_for_output(" workers on ");
        eventually("nobody is connected", || self.nothing_is_under_way().then_some(()));
        // The connection of the question itself is closed in a moment.
        let mut looks = Vec::new();
        eventually("descriptors have been looked at", || {
            looks.push(self.descriptors());
            (looks.len() >= LOOKS).then_some(())
        });
        Base { descriptors: looks.into_iter().min().unwrap_or_default() }
    }

    /// Waits until nothing is under way, and the same descriptors are open. What has begun has ended.
    pub fn returns_to(&self, base: &Base) {
        eventually("nothing is under way", || self.nothing_is_under_way().then_some(()));
        eventually("all descriptors are closed", || (self.descriptors() == base.descriptors).then_some(()));
        let page = self.admin("/metrics").text();
        assert_eq!(total(&page, "lockgate_requests_total"), total(&page, "lockgate_requests_ended_total"), "{page}");
        assert_eq!(total(&page, "lockgate_panics_total"), 0.0, "{}", self.output());
    }

    fn nothing_is_under_way(&self) -> bool {
        let page = self.admin("/metrics").text();
        UNDER_WAY.iter().all(|name| total(&page, name) == 0.0)
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.id())).expect("the gateway runs")
    }

    /// A line of `/proc/PID/status` in KiB, by its name: `VmRSS`.
    pub fn memory_kib(&self, name: &str) -> u64 {
        let status = self.proc("status");
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let digits = value.expect("the status has this line").trim().trim_end_matches(" kB");
        digits.parse().expect("a number of KiB")
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        self.open().count()
    }

    /// Those of them that are sockets.
    pub fn sockets(&self) -> usize {
        self.open_to("socket:")
    }

    /// Those that are ends of pipes.
    pub fn pipe_ends(&self) -> usize {
        self.open_to("pipe:")
    }

    fn open_to(&self, what: &str) -> usize {
        self.open().filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().starts_with(what))).count()
    }

    fn open(&self) -> impl Iterator<Item = fs::DirEntry> {
        fs::read_dir(format!("/proc/{}/fd", self.id())).expect("descriptors can be listed").flatten()
    }

    /// Processor time so far, in milliseconds.
    pub fn processor_ms(&self) -> u64 {
        processor_ms(&self.proc("stat"))
    }
}

/// The sum of a metric over all its labels.
fn total(page: &str, name: &str) -> f64 {
    let samples = page.lines().filter_map(|line| line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' '])));
    samples.map(|sample| sample.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")).sum()
}
