//! What a gateway's process uses, as the kernel counts it.

use std::fs;

use crate::gateway::Gateway;

/// Ticks of the kernel's accounting in a second (`USER_HZ`, the same on every Linux we run on).
const TICKS: u64 = 100;

impl Gateway {
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
        self.open().filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))).count()
    }

    fn open(&self) -> impl Iterator<Item = fs::DirEntry> {
        fs::read_dir(format!("/proc/{}/fd", self.id())).expect("descriptors can be listed").flatten()
    }

    /// Processor time so far, in milliseconds.
    pub fn processor_ms(&self) -> u64 {
        let stat = self.proc("stat");
        // After the name, which may hold blanks: user and system time are the 14th and 15th field of the line.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let times = after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number of ticks"));
        times.sum::<u64>() * 1000 / TICKS
    }
}
