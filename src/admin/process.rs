//! What the kernel says of this process and its threads. A figure that cannot be had is 0.

use std::fs;

/// Of `CLK_TCK`: the unit of times in /proc, a part of the kernel's interface that is the same on every machine.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time of a thread of this process, in seconds.
pub fn thread_cpu_s(thread: u64) -> f64 {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap_or_default();
    let nanoseconds: Option<f64> = text.split(' ').next().and_then(|word| word.parse().ok());
    nanoseconds.map_or_else(|| cpu_s(&format!("/proc/self/task/{thread}/stat")), |ns| ns / 1e9)
}

/// Processor time of the process, in seconds.
pub fn process_cpu_s() -> f64 {
    cpu_s("/proc/self/stat")
}

/// User and system time of a `stat` file.
fn cpu_s(file: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    // The name in brackets may hold anything; the fields behind it are numbers, the state first (proc_pid_stat(5)).
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
    ticks / TICKS_PER_SECOND
}

/// In bytes.
pub fn resident_memory() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

pub fn open_descriptors() -> u64 {
    // One is that of the listing.
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1)) as u64
}

pub fn descriptor_limit() -> u64 {
    let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_this_process_uses() {
        let mut work = 0u64;
        while process_cpu_s() == 0.0 {
            work = work.wrapping_add((0..100_000u64).sum());
        }
        assert!(work > 0 && thread_cpu_s(crate::sys::thread_id()) > 0.0);
        assert!(resident_memory() > 100_000 && open_descriptors() > 2 && descriptor_limit() > 2);
    }
}
