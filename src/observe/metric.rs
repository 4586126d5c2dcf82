//! Every metric of `/metrics`: name, kind, labels and what it says, in one table.
//!
//! `lockgate metrics` prints it. `admin::scrape` matches on [`Metric`], so that one without a value does not compile.

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from the start of the process.
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// As the exposition format calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

macro_rules! metrics {
    ($($(#[doc = $about:literal])+ $variant:ident: $kind:ident $name:literal [$($label:literal),*];)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric { $($variant,)* }

        impl Metric {
            pub const ALL: &[Metric] = &[$(Metric::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $(Metric::$variant => $name,)* }
            }
            pub fn kind(self) -> Kind {
                match self { $(Metric::$variant => Kind::$kind,)* }
            }
            pub fn labels(self) -> &'static [&'static str] {
                match self { $(Metric::$variant => &[$($label),*],)* }
            }
            pub fn about(self) -> &'static str {
                match self { $(Metric::$variant => concat!($($about),+).trim_ascii(),)* }
            }
        }
    };
}

metrics! {
    /// The version that runs; always 1.
    Info: Gauge "lockgate_info" ["version"];
    /// Unix time at which the process started.
    StartTime: Gauge "process_start_time_seconds" [];
    /// Processor time of the process.
    ProcessCpu: Counter "process_cpu_seconds_total" [];
    /// Memory of the process that is in RAM.
    ProcessMemory: Gauge "process_resident_memory_bytes" [];
    /// Descriptors that are open.
    ProcessDescriptors: Gauge "process_open_fds" [];
    /// Descriptors that may be open.
    ProcessDescriptorLimit: Gauge "process_max_fds" [];

    /// 1 while new connections are wanted: listeners are up, and the gateway does not drain.
    Ready: Gauge "lockgate_ready" [];
    /// Processor time of a worker: the share of it in real time is how busy the worker is.
    WorkerCpu: Counter "lockgate_worker_cpu_seconds_total" ["worker"];
    /// Since a worker last looked after its deadlines; more than a second says that it is stuck.
    WorkerSweepAge: Gauge "lockgate_worker_sweep_age_seconds" ["worker"];
    /// Connections that a bug ended.
    Panics: Counter "lockgate_panics_total" [];

    /// The generation in force: how often something was published.
    Generation: Gauge "lockgate_generation" [];
    /// Unix time at which it was loaded.
    GenerationLoaded: Gauge "lockgate_generation_loaded_time_seconds" [];
    /// Loads of the documents, by outcome; a refused one leaves in force what was.
    Loads: Counter "lockgate_loads_total" ["outcome"];
    /// 1 while the documents have errors, so that they are not what is served.
    LoadFailing: Gauge "lockgate_load_failing" [];
    /// Workers that do not run the generation in force yet.
    WorkersBehind: Gauge "lockgate_workers_behind" [];

    /// Client connections taken.
    Connections: Counter "lockgate_connections_accepted_total" [];
    /// Client connections open.
    ConnectionsOpen: Gauge "lockgate_connections_open" [];
    /// Client connections that have switched to another protocol, open.
    UpgradedOpen: Gauge "lockgate_upgraded_connections_open" [];
    /// Client connections closed at once: as many as there may be were open, in all, of a worker, or from their address.
    ConnectionsShed: Counter "lockgate_connections_shed_total" [];
    /// Client connections that speak HTTP/2, among those taken.
    Http2Connections: Counter "lockgate_http2_connections_total" [];
    /// Requests that came by HTTP/2.
    Http2Requests: Counter "lockgate_http2_requests_total" [];
    /// Streams of HTTP/2 that their client had reset before anything was done for them; they have no line in the access log.
    Http2GivenUp: Counter "lockgate_http2_streams_given_up_total" [];
    /// Client connections ended because of a flood of frames: resets, settings, pings, empty data, continuations, grants of room.
    Http2Floods: Counter "lockgate_http2_floods_total" [];
    /// Streams of HTTP/2 that the gateway has reset, by error code (RFC 9113, section 7). `INTERNAL_ERROR`, `CANCEL` and `NO_ERROR` are of
    /// requests that have a line in the access log; all others were refused before they were requests, and have none.
    Http2Resets: Counter "lockgate_http2_streams_reset_total" ["code"];
    /// Client connections that were told to go (`GOAWAY`), by error code; `NO_ERROR`: idle for too long, or the gateway drains.
    Http2Goaways: Counter "lockgate_http2_goaways_total" ["code"];
    /// Client connections that waited between two requests, ended to make room for others.
    ConnectionsEnded: Counter "lockgate_connections_ended_total" [];
    /// TLS handshakes of clients that were done.
    TlsHandshakes: Counter "lockgate_tls_handshakes_total" [];
    /// TLS handshakes of clients that were known from before, among those done.
    TlsResumptions: Counter "lockgate_tls_resumptions_total" [];
    /// TLS handshakes of clients that failed: a name without a certificate, no common version, a certificate refused, time.
    TlsFailures: Counter "lockgate_tls_handshake_failures_total" [];
    /// Client connections closed at once, because a worker had `tls_handshakes` under way.
    TlsShed: Counter "lockgate_tls_handshakes_shed_total" [];
    /// Client connections that could not be taken.
    AcceptErrors: Counter "lockgate_accept_errors_total" [];
    /// Bytes received from clients, of requests that have ended.
    ReceivedBytes: Counter "lockgate_received_bytes_total" [];
    /// Bytes sent to clients, of requests that have ended.
    SentBytes: Counter "lockgate_sent_bytes_total" [];

    /// Requests that have ended, by API and class of status; `none`: there was no answer.
    Requests: Counter "lockgate_requests_total" ["group", "api", "stage", "status"];
    /// Requests that the gateway refused, by API and error code.
    ApiRefused: Counter "lockgate_api_refused_total" ["group", "api", "stage", "code"];
    /// From the head of a request received to its answer sent.
    RequestDuration: Histogram "lockgate_request_duration_seconds" ["group", "api", "stage"];
    /// From the head of a request sent to the backend to the head of its answer received.
    BackendDuration: Histogram "lockgate_backend_duration_seconds" ["group", "api", "stage"];
    /// How requests ended.
    Ended: Counter "lockgate_requests_ended_total" ["ended"];
    /// Requests that the gateway refused, by error code.
    Refused: Counter "lockgate_refused_total" ["code"];
    /// Requests refused because of who calls: credentials, signature, time, nonce, authorization.
    AuthenticationFailures: Counter "lockgate_authentication_failures_total" ["reason"];
    /// Nonces for which there was no room (`nonce_capacity`): their requests were refused, or not, by `nonce_full`.
    NoncesWithoutRoom: Counter "lockgate_nonces_without_room_total" [];
    /// Requests refused because a budget was used up, by what it was a budget of.
    QuotaRefused: Counter "lockgate_quota_refused_total" ["quota"];
    /// Requests that waited for their turn under a limit a second.
    QuotaQueued: Counter "lockgate_quota_queued_total" [];
    /// Calls under the default domain of a group, of its quota of today (UTC); a group without any is left out.
    DefaultDomainCalls: Gauge "lockgate_default_domain_calls" ["group"];
    /// Calls that this gateway has admitted in the windows under way, by the policy and the rule that counts them. Each rule counts
    /// for itself: a call may be in several.
    QuotaCalls: Gauge "lockgate_quota_calls" ["policy", "rule"];
    /// Subjects (APIs, groups, owners, apps, values) that have used some of their limit in the windows under way.
    QuotaSubjects: Gauge "lockgate_quota_subjects" ["policy", "rule"];
    /// Those of them that have nothing left.
    QuotaExhausted: Gauge "lockgate_quota_exhausted_subjects" ["policy", "rule"];
    /// Requests that needed a counter of a quota for which there was no room (`counter_capacity`).
    QuotaWithoutRoom: Counter "lockgate_quota_without_room_total" [];
    /// In a cluster: whether its engine can be reached, 1 or 0.
    ClusterUp: Gauge "lockgate_cluster_engine_up" [];
    /// In a cluster: gateways that share the engine, as it last said.
    ClusterGateways: Gauge "lockgate_cluster_gateways" [];
    /// Round trips to the engine.
    ClusterRoundTrips: Counter "lockgate_cluster_round_trips_total" [];
    /// Time that they took together.
    ClusterSeconds: Counter "lockgate_cluster_round_trip_seconds_total" [];
    /// Times that the engine did not answer, or could not be connected to.
    ClusterFailures: Counter "lockgate_cluster_failures_total" [];
    /// Leases that the engine granted.
    ClusterLeases: Counter "lockgate_cluster_leases_total" [];
    /// Units of limits in them.
    ClusterUnits: Counter "lockgate_cluster_lease_units_total" [];
    /// Nonces that the engine was asked about.
    ClusterNonces: Counter "lockgate_cluster_nonces_total" [];
    /// Waits that were ended because they took too long.
    Timeouts: Counter "lockgate_timeouts_total" ["wait"];

    /// Connections made to backends.
    UpstreamConnected: Counter "lockgate_upstream_connections_total" ["vpc_access"];
    /// Connections to backends that could not be made.
    UpstreamFailed: Counter "lockgate_upstream_connect_failures_total" ["vpc_access"];
    /// Requests sent on a connection that had served another before.
    UpstreamReused: Counter "lockgate_upstream_reused_total" ["vpc_access"];
    /// Requests sent a second time.
    UpstreamRetried: Counter "lockgate_upstream_retries_total" ["vpc_access"];
    /// Requests that waited for a connection to come free.
    UpstreamQueued: Counter "lockgate_upstream_queued_total" ["vpc_access"];
    /// Times that an instance began to stand aside because calls to it failed.
    UpstreamStoodAside: Counter "lockgate_upstream_stood_aside_total" ["vpc_access"];
    /// Instances, by state: `well`, `aside` (calls to it failed), `trial` (a call finds out), `down` (checks failed).
    UpstreamInstances: Gauge "lockgate_upstream_instances" ["vpc_access", "state"];
    /// Calls to backends in flight.
    UpstreamCalls: Gauge "lockgate_upstream_calls_in_flight" ["vpc_access"];
    /// Idle connections to backends.
    UpstreamIdle: Gauge "lockgate_upstream_idle_connections" ["vpc_access"];

    /// Access log lines written.
    LogWritten: Counter "lockgate_access_log_lines_written_total" [];
    /// Access log lines lost: the writer did not keep up, or the file did not take them.
    LogDropped: Counter "lockgate_access_log_lines_dropped_total" [];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_follow_the_conventions() {
        let names: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        for &metric in Metric::ALL {
            let name = metric.name();
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind() == Kind::Counter, "{name}");
            assert!(metric.about().ends_with('.') && !metric.about().contains('\n'), "{name}");
        }
    }
}
