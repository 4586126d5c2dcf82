//! What the gateway says that it does: each event has a name, fields for programs and a sentence for people. Nothing
//! of it is on the path of a request, and no worker says anything: what workers find is looked up and told for them.

use std::net::SocketAddr;

#[derive(Debug)]
pub enum Event<'a> {
    /// Clients may connect.
    Listening {
        url: &'a str,
    },
    /// The operator's listener answers.
    AdminListening {
        address: SocketAddr,
    },
    /// A published file is damaged, and an older generation is served.
    Damaged {
        generation: u64,
        report: &'a str,
    },
    Started {
        instance: &'a str,
        workers: usize,
        driver: &'a str,
        apis: usize,
    },
    /// No more connections are wanted; none is taken after the delay.
    Draining {
        delay_ms: u64,
    },
    Stopped {
        requests: u64,
        panics: u64,
        log_lines_dropped: u64,
    },
    /// Calls to an instance failed, and it gets none for a while.
    InstanceAside {
        vpc_access: &'a str,
        address: SocketAddr,
    },
    /// The active checks of an instance failed.
    InstanceDown {
        vpc_access: &'a str,
        address: SocketAddr,
    },
    /// It takes calls again.
    InstanceWell {
        vpc_access: &'a str,
        address: SocketAddr,
    },
    /// A worker does not look after its deadlines any more.
    WorkerStuck {
        worker: usize,
    },
}

impl Event<'_> {
    pub fn tell(&self) {
        match self {
            Self::Listening { url } => tracing::info!(event = "listening", url, "listening on {url}"),
            Self::AdminListening { address } => {
                tracing::info!(event = "admin-listening", %address, "operator's listener on http://{address}");
            }
            Self::Damaged { generation, report } => tracing::error!(
                event = "damaged",
                generation,
                "what is published is damaged; generation {generation} is served, the last that is whole. Restore what is damaged, or \
                 stay with it: put published/generations/{generation}.toml in the place of published/manifest.toml\n{report}"
            ),
            Self::Started { instance, workers, driver, apis } => tracing::info!(
                event = "started",
                instance,
                workers,
                driver,
                apis,
                "{instance}: {workers} workers on {driver}, {apis} published APIs"
            ),
            Self::Draining { delay_ms } => {
                tracing::info!(event = "draining", delay_ms, "draining; a second signal ends at once");
            }
            Self::Stopped { requests, panics, log_lines_dropped } => tracing::info!(
                event = "stopped",
                requests,
                panics,
                log_lines_dropped,
                "stopped after {requests} requests ({panics} panics, {log_lines_dropped} log lines dropped)"
            ),
            Self::InstanceAside { vpc_access, address } => tracing::warn!(
                event = "instance-aside",
                vpc_access,
                %address,
                "{address} of VPC access {vpc_access} stands aside: calls to it failed"
            ),
            Self::InstanceDown { vpc_access, address } => tracing::warn!(
                event = "instance-down",
                vpc_access,
                %address,
                "{address} of VPC access {vpc_access} is down: its checks failed"
            ),
            Self::InstanceWell { vpc_access, address } => tracing::info!(
                event = "instance-well",
                vpc_access,
                %address,
                "{address} of VPC access {vpc_access} takes calls again"
            ),
            Self::WorkerStuck { worker } => {
                tracing::error!(event = "worker-stuck", worker, "worker {worker} is stuck: it has not swept for seconds");
            }
        }
    }
}
