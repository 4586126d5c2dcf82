//! What the kernel says of processes and of the machine, read from the text of `/proc` (proc(5)). Pure.

/// One process, its threads together. Processor time in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessTimes {
    pub parent: i32,
    pub user_ticks: u64,
    pub system_ticks: u64,
}

/// Of the text of `/proc/PID/stat`. The name, in parentheses, may hold blanks and parentheses: what counts starts after
/// the last one. Fields 4, 14 and 15.
pub fn process_times(stat: &str) -> Option<ProcessTimes> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let user_ticks = fields.nth(9)?.parse().ok()?;
    let system_ticks = fields.next()?.parse().ok()?;
    Some(ProcessTimes { parent, user_ticks, system_ticks })
}

/// Voluntary and involuntary context switches, of the text of a thread's `status`.
pub fn context_switches(status: &str) -> Option<u64> {
    let count = |name: &str| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.trim().parse().ok()
    };
    Some(count("voluntary_ctxt_switches")? + count("nonvoluntary_ctxt_switches")?)
}

/// Memory that is no file's, in KiB, of the text of a process's `status`.
pub fn own_memory_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Time of all processors together, in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineTimes {
    pub busy_ticks: u64,
    pub idle_ticks: u64,
    /// Taken by the hypervisor for other machines; part of neither of the above.
    pub stolen_ticks: u64,
}

/// Of the first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal. Guest time, which follows,
/// is within user time already.
pub fn machine_times(stat: &str) -> Option<MachineTimes> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let numbers: Vec<u64> = line.split_ascii_whitespace().map_while(|number| number.parse().ok()).collect();
    let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = numbers[..] else { return None };
    Some(MachineTimes { busy_ticks: user + nice + system + irq + softirq, idle_ticks: idle + iowait, stolen_ticks: steal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_shift_the_fields() {
        let stat = "4711 (a) b (c d)) S 12 4711 4711 0 -1 4194560 88 99 0 0 321 123 7 8 20 0 1 0 1000 2 3";
        let times = ProcessTimes { parent: 12, user_ticks: 321, system_ticks: 123 };
        assert_eq!(process_times(stat), Some(times));
        assert_eq!(process_times("4711 (x) S 12"), None);
        assert_eq!(process_times(""), None);
    }

    #[test]
    fn both_kinds_of_context_switches_count() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t120\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(context_switches(status), Some(123));
        assert_eq!(context_switches("Name:\tx\n"), None);
    }

    #[test]
    fn own_memory_is_without_files() {
        assert_eq!(own_memory_kib("VmRSS:\t  900 kB\nRssAnon:\t     720 kB\nRssFile:\t 180 kB\n"), Some(720));
        assert_eq!(own_memory_kib("VmRSS:\t  900 kB\n"), None);
    }

    #[test]
    fn the_machine_is_the_sum_of_its_processors() {
        let stat = "cpu  10 1 20 300 5 2 3 4 0 0\ncpu0 5 0 10 150 2 1 1 2 0 0\n";
        assert_eq!(machine_times(stat), Some(MachineTimes { busy_ticks: 36, idle_ticks: 305, stolen_ticks: 4 }));
        assert_eq!(machine_times("cpu0 1 2 3"), None);
    }

    #[test]
    fn this_kernel_writes_what_is_read_here() {
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert!(process_times(&read("/proc/self/stat")).is_some());
        assert!(context_switches(&read("/proc/thread-self/status")).is_some());
        assert!(machine_times(&read("/proc/stat")).is_some());
    }
}
