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
    /// Lines that the access log's file did not take.
    AccessLogLost {
        lines: u64,
        error: &'a std::io::Error,
    },
    /// The access log cannot be opened anew, and the old file goes on.
    AccessLogStale {
        error: &'a std::io::Error,
    },
    /// Every worker runs it.
    GenerationInForce {
        generation: u64,
        sha256: &'a str,
        workers: usize,
        of: usize,
        took_us: u64,
    },
    /// A policy is another one in the generation that is in force.
    PolicyChanged {
        change: &'a str,
    },
    /// The files have errors, and what was served before goes on. `place`: of the first; `report`: the first of them, shown.
    LoadRefused {
        generation: u64,
        place: &'a str,
        errors: usize,
        report: &'a str,
    },
    /// Settings have changed that a process cannot change while it lives.
    RestartNeeded {
        keys: &'a str,
    },
    /// The kernel does not tell of changed files: they are looked for.
    ChangesNotTold {
        error: &'a std::io::Error,
    },
    /// The state directory is not where it was.
    StateGone {
        directory: &'a std::path::Path,
    },
    /// What an operator should know of the kernel's driver, or of files of the state directory.
    Notice {
        text: &'a str,
    },
    /// Fewer descriptors than the limits allow connections for.
    FewDescriptors {
        allowed: u64,
        wanted: u64,
    },
    ServiceManagerDeaf {
        error: &'a std::io::Error,
    },
    DemoBackendFailed {
        error: &'a std::io::Error,
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
    /// The engine of the cluster cannot be reached. Said once, until it is back.
    EngineLost {
        error: &'a str,
    },
    EngineBack {
        nodes: u64,
    },
    /// Clients are turned away for want of room. However many come, it is said once.
    ClientsTurnedAway,
    /// Nobody has been turned away for a while; so many were.
    ClientsTakenAgain {
        connections: u64,
    },
    /// Clients break the rules of HTTP/2. However many do, it is said once.
    Http2Refused,
    /// Nobody has for a while; so many streams and connections were ended.
    Http2RefusedEnough {
        refused: u64,
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
            Self::AccessLogLost { lines, error } => {
                tracing::error!(event = "access-log-lost", lines, "access log: {lines} lines lost: {error}");
            }
            Self::AccessLogStale { error } => {
                tracing::error!(event = "access-log-stale", "access log: the old file goes on: {error}");
            }
            Self::GenerationInForce { generation, sha256, workers, of, took_us } => {
                let ms = took_us.div_ceil(1000);
                tracing::info!(
                    event = "generation-in-force",
                    generation,
                    sha256,
                    workers,
                    of,
                    ms,
                    "generation {generation}, sha256 {sha256}, {workers}/{of} workers, {ms} ms"
                );
            }
            Self::PolicyChanged { change } => tracing::info!(event = "policy-changed", "{change}"),
            Self::LoadRefused { generation, place, errors, report } => tracing::error!(
                event = "load-refused",
                generation,
                place,
                errors,
                "the files have errors, and are not served; generation {generation} goes on:\n{report}"
            ),
            Self::RestartNeeded { keys } => tracing::warn!(
                event = "restart-needed",
                keys,
                "changed, and takes effect when the gateway is started anew: {keys}"
            ),
            Self::ChangesNotTold { error } => tracing::warn!(
                event = "changes-not-told",
                %error,
                "changes of files are not told by the kernel ({error}): they are seen by a look at all of them every now and \
                 then, and `lockgate reload` makes it now; `sysctl fs.inotify.max_user_watches` and \
                 `fs.inotify.max_user_instances` may be too low"
            ),
            Self::StateGone { directory } => tracing::error!(
                event = "state-gone",
                directory = %directory.display(),
                "the state directory {} is gone, or another: commands do not find this gateway, and what it counts and \
                 remembers ends with it; put it back, or start the gateway anew",
                directory.display()
            ),
            Self::Notice { text } => tracing::warn!(event = "notice", "{text}"),
            Self::FewDescriptors { allowed, wanted } => tracing::warn!(
                event = "few-descriptors",
                allowed,
                wanted,
                "this process may open {allowed} descriptors, but its limits allow connections for {wanted}: \
                 raise `ulimit -n` (LimitNOFILE= of the service), or lower `connections` in [limits]"
            ),
            Self::ServiceManagerDeaf { error } => tracing::warn!(
                event = "service-manager-deaf",
                %error,
                "the service manager cannot be told: {error}"
            ),
            Self::DemoBackendFailed { error } => tracing::error!(
                event = "demo-backend-failed",
                %error,
                "the demo's backend cannot run: {error}"
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
            Self::EngineLost { error } => tracing::error!(
                event = "engine-lost",
                error,
                "the engine of the cluster cannot be reached: {error}; limits do what their on_engine_loss says"
            ),
            Self::EngineBack { nodes } => {
                tracing::info!(event = "engine-back", nodes, "the engine of the cluster is there again, with {nodes} gateways");
            }
            Self::ClientsTurnedAway => tracing::warn!(
                event = "clients-turned-away",
                "clients are turned away: as many are connected, from one address or in all, as [limits] allows"
            ),
            Self::ClientsTakenAgain { connections } => tracing::info!(
                event = "clients-taken-again",
                connections,
                "clients are taken again; {connections} connections were turned away"
            ),
            Self::Http2Refused => tracing::warn!(
                event = "http2-refused",
                "clients break the rules of HTTP/2, or flood: their streams are reset, their connections ended; \
                 lockgate_http2_streams_reset_total and lockgate_http2_goaways_total count them by error code"
            ),
            Self::Http2RefusedEnough { refused } => tracing::info!(
                event = "http2-refused-enough",
                refused,
                "clients keep to the rules of HTTP/2 again; {refused} streams and connections were ended"
            ),
            Self::WorkerStuck { worker } => {
                tracing::error!(event = "worker-stuck", worker, "worker {worker} is stuck: it has not swept for seconds");
            }
        }
    }
}
