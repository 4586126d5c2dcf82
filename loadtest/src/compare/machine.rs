//! The machine, as far as a reader of the figures needs it.

use std::fs;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub kernel: String,
    pub processor: String,
    pub cores: usize,
    /// Load averages before the first measurement: 1, 5 and 15 minutes.
    pub load_average: String,
}

impl Machine {
    pub fn describe() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
        let load: Vec<String> = read("/proc/loadavg").split_ascii_whitespace().take(3).map(str::to_owned).collect();
        Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: model.map_or("unknown", |(_, name)| name).to_owned(),
            cores,
            load_average: load.join(" "),
        }
    }
}
