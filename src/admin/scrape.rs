//! `/metrics`: the cells of all workers, summed by name.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use super::quotas::Quotas;
use super::{Sources, process};
use crate::cluster::Engine;
use crate::gate::ErrorCode;
use crate::gate::policy::used::Used;
use crate::gate::quota::allowance::Standing;
use crate::observe::counters::{ApiCells, Count, Counters, STATUS_CLASSES, Timeout, VpcAccessCells};
use crate::observe::exposition::{Page, Samples};
use crate::observe::histogram::Distribution;
use crate::observe::http2::CODES;
use crate::observe::metric::Metric;
use crate::observe::record::Ended;
use crate::observe::series::Series;
use crate::observe::status::View;
use crate::upstream::health::State;

/// Labels of what has no API, and of what is beyond the limit. No name has brackets.
const NONE: &str = "(none)";
pub const OTHER: &str = "(other)";

/// The page that Prometheus reads.
pub fn metrics(sources: &Sources) -> String {
    let sums = Sums::of(sources);
    let mut page = Page::default();
    for &metric in Metric::ALL {
        samples(metric, sources, &sums, &mut page.metric(metric));
    }
    page.finish()
}

/// What is counted by name, over all workers.
struct Sums {
    apis: BTreeMap<[String; 3], ApiSum>,
    vpc_accesses: BTreeMap<[String; 1], VpcAccessSum>,
    /// By error code.
    refused: Vec<u64>,
    quotas: Quotas,
    view: View,
}

#[derive(Default)]
struct ApiSum {
    status: [u64; STATUS_CLASSES.len()],
    refused: BTreeMap<&'static str, u64>,
    total: Distribution,
    backend: Distribution,
}

#[derive(Default)]
struct VpcAccessSum {
    connected: u64,
    failed: u64,
    reused: u64,
    retried: u64,
    queued: u64,
    stood_aside: u64,
    idle: u64,
    calls: u64,
    /// Instances by state, in the order of [`State::ALL`].
    instances: [u64; State::ALL.len()],
}

impl Sums {
    fn of(sources: &Sources) -> Self {
        let (mut apis, mut vpc_accesses) = (BTreeMap::<_, ApiSum>::new(), BTreeMap::<_, VpcAccessSum>::new());
        let mut refused = vec![0; ErrorCode::NAMES.len()];
        for worker in &sources.workers {
            for (labels, cells) in named(&worker.apis).chain([([NONE; 3].map(String::from), &worker.no_api)]) {
                apis.entry(labels).or_default().add(cells, worker.codes());
            }
            for (labels, cells) in named(&worker.vpc_accesses) {
                vpc_accesses.entry(labels).or_default().add(cells);
            }
            refused.iter_mut().zip(&worker.refused).for_each(|(sum, count)| *sum += count.get());
        }
        // A name that nobody has called says nothing.
        apis.retain(|_, sum| sum.status.iter().any(|n| *n > 0));
        for seen in sources.board.seen(super::now_ms(), |_, _, _| true) {
            let label = [seen.access];
            let place = if vpc_accesses.contains_key(&label) { label } else { [OTHER.to_owned()] };
            let sum = vpc_accesses.entry(place).or_default();
            sum.calls += seen.calls;
            sum.instances[seen.state as usize] += 1;
        }
        vpc_accesses.retain(|labels, sum| labels[0] != OTHER || sum.instances.iter().any(|n| *n > 0));
        Self { apis, vpc_accesses, refused, quotas: Quotas::of(sources), view: sources.status.view() }
    }
}

fn named<const N: usize, C: Default>(series: &Series<N, C>) -> impl Iterator<Item = ([String; N], &C)> {
    series.iter().map(|(labels, cells)| (labels.clone(), cells)).chain([([OTHER; N].map(String::from), &series.other)])
}

impl ApiSum {
    fn add(&mut self, cells: &ApiCells, codes: &'static [&'static str]) {
        self.status.iter_mut().zip(&cells.status).for_each(|(sum, count)| *sum += count.get());
        let (counts, other) = cells.refused.counts();
        for (place, n) in counts {
            *self.refused.entry(codes.get(place).copied().unwrap_or(OTHER)).or_default() += n;
        }
        if other > 0 {
            *self.refused.entry(OTHER).or_default() += other;
        }
        self.total.add(&cells.total);
        self.backend.add(&cells.backend);
    }
}

impl VpcAccessSum {
    fn add(&mut self, cells: &VpcAccessCells) {
        self.connected += cells.connected.get();
        self.failed += cells.failed.get();
        self.reused += cells.reused.get();
        self.retried += cells.retried.get();
        self.queued += cells.queued.get();
        self.stood_aside += cells.stood_aside.get();
        self.idle += cells.idle.get();
    }
}

/// What is shown of the engine of a cluster.
fn cluster(metric: Metric, engine: &Engine) -> f64 {
    let (standing, counted) = (engine.standing.as_deref(), &engine.counted);
    let count = match metric {
        Metric::ClusterUp => standing.is_some_and(|standing| !standing.is_lost()).into(),
        Metric::ClusterGateways => standing.map_or(0, Standing::nodes),
        Metric::ClusterRoundTrips => counted.round_trips.load(Relaxed),
        Metric::ClusterSeconds => return counted.round_trip_us.load(Relaxed) as f64 / 1e6,
        Metric::ClusterFailures => counted.failures.load(Relaxed),
        Metric::ClusterLeases => counted.leases.load(Relaxed),
        Metric::ClusterUnits => counted.units.load(Relaxed),
        _ => counted.nonces.load(Relaxed),
    };
    count as f64
}

fn samples(metric: Metric, sources: &Sources, sums: &Sums, out: &mut Samples<'_>) {
    let mut sum = |of: fn(&Counters) -> &Count| out.sample(&[], sources.sum(|counters| of(counters).get()));
    match metric {
        Metric::Connections => sum(|c| &c.connections),
        Metric::ConnectionsOpen => sum(|c| &c.connections_open),
        Metric::UpgradedOpen => sum(|c| &c.upgraded_open),
        Metric::ConnectionsShed => sum(|c| &c.connections_shed),
        Metric::Http2Connections => sum(|c| &c.http2.connections),
        Metric::Http2Requests => sum(|c| &c.http2.requests),
        Metric::Http2GivenUp => sum(|c| &c.http2.given_up),
        Metric::Http2Floods => sum(|c| &c.http2.floods),
        Metric::Http2Resets => by_code(sources, out, |c| &c.http2.resets),
        Metric::Http2Goaways => by_code(sources, out, |c| &c.http2.goaways),
        Metric::ConnectionsEnded => sum(|c| &c.connections_ended),
        Metric::TlsHandshakes => sum(|c| &c.tls_handshakes),
        Metric::TlsResumptions => sum(|c| &c.tls_resumptions),
        Metric::TlsFailures => sum(|c| &c.tls_failures),
        Metric::TlsShed => sum(|c| &c.tls_shed),
        Metric::AcceptErrors => sum(|c| &c.accept_errors),
        Metric::ReceivedBytes => sum(|c| &c.received_bytes),
        Metric::SentBytes => sum(|c| &c.sent_bytes),
        Metric::Panics => sum(|c| &c.panics),

        Metric::Generation => out.sample(&[], sums.view.generation.number),
        Metric::GenerationLoaded => out.sample(&[], sums.view.generation.loaded_unix_ms as f64 / 1000.0),
        Metric::Loads => {
            out.sample(&["accepted"], sums.view.generation.load);
            out.sample(&["refused"], sums.view.loads_refused);
        }
        Metric::LoadFailing => out.sample(&[], u8::from(sums.view.error.is_some())),
        Metric::WorkersBehind => {
            let behind = sums.view.workers.iter().filter(|(load, _)| *load < sums.view.generation.load).count();
            out.sample(&[], behind);
        }

        Metric::Info => out.sample(&[env!("CARGO_PKG_VERSION")], 1),
        Metric::StartTime => out.sample(&[], sums.view.started_unix_ms as f64 / 1000.0),
        Metric::ProcessCpu => out.sample(&[], process::process_cpu_s()),
        Metric::ProcessMemory => out.sample(&[], process::resident_memory()),
        Metric::ProcessDescriptors => out.sample(&[], process::open_descriptors()),
        Metric::ProcessDescriptorLimit => out.sample(&[], process::descriptor_limit()),
        Metric::Ready => out.sample(&[], u8::from(sources.is_ready())),
        Metric::WorkerCpu => {
            for (number, worker) in sources.workers.iter().enumerate() {
                out.sample(&[&number.to_string()], process::thread_cpu_s(worker.thread.get()));
            }
        }
        Metric::WorkerSweepAge => {
            for (number, age_ms) in sources.sweep_ages_ms().enumerate() {
                out.sample(&[&number.to_string()], age_ms as f64 / 1000.0);
            }
        }

        Metric::Requests => {
            for (labels, sum) in &sums.apis {
                for (class, n) in STATUS_CLASSES.into_iter().zip(sum.status).filter(|(_, n)| *n > 0) {
                    out.sample(&with(labels, class), n);
                }
            }
        }
        Metric::ApiRefused => {
            for (labels, sum) in &sums.apis {
                sum.refused.iter().for_each(|(code, n)| out.sample(&with(labels, code), n));
            }
        }
        Metric::RequestDuration => durations(sums, out, |sum| &sum.total),
        Metric::BackendDuration => durations(sums, out, |sum| &sum.backend),
        Metric::Ended => {
            for ended in Ended::ALL {
                out.sample(&[ended.as_str()], sources.sum(|counters| counters.ended[ended as usize].get()));
            }
        }
        Metric::Refused => {
            let counts = ErrorCode::NAMES.iter().zip(&sums.refused).filter(|(_, n)| **n > 0);
            counts.for_each(|(code, n)| out.sample(&[code], n));
        }
        Metric::AuthenticationFailures => by_kind(sums, out, authentication_failure),
        Metric::QuotaRefused => by_kind(sums, out, quota),
        Metric::NoncesWithoutRoom => out.sample(&[], sources.sum(|counters| counters.nonces_without_room.get())),
        Metric::QuotaQueued => out.sample(&[], sources.sum(|counters| counters.quota_queued.get())),
        Metric::DefaultDomainCalls => {
            sums.quotas.default_domains.iter().for_each(|(group, calls)| out.sample(&[group], *calls));
        }
        Metric::QuotaCalls => policies(sums, out, |used| used.calls),
        Metric::QuotaSubjects => policies(sums, out, |used| used.subjects),
        Metric::QuotaExhausted => policies(sums, out, |used| used.exhausted),
        Metric::QuotaWithoutRoom => out.sample(&[], sources.sum(|counters| counters.quota_without_room.get())),
        Metric::ClusterUp
        | Metric::ClusterGateways
        | Metric::ClusterRoundTrips
        | Metric::ClusterSeconds
        | Metric::ClusterFailures
        | Metric::ClusterLeases
        | Metric::ClusterUnits
        | Metric::ClusterNonces => sources.engine.iter().for_each(|engine| out.sample(&[], cluster(metric, engine))),
        Metric::Timeouts => {
            for (timeout, name) in Timeout::ALL {
                out.sample(&[name], sources.sum(|counters| counters.timed_out(timeout).get()));
            }
        }

        Metric::UpstreamConnected => upstream(sums, out, |sum| sum.connected),
        Metric::UpstreamFailed => upstream(sums, out, |sum| sum.failed),
        Metric::UpstreamReused => upstream(sums, out, |sum| sum.reused),
        Metric::UpstreamRetried => upstream(sums, out, |sum| sum.retried),
        Metric::UpstreamQueued => upstream(sums, out, |sum| sum.queued),
        Metric::UpstreamStoodAside => upstream(sums, out, |sum| sum.stood_aside),
        Metric::UpstreamCalls => upstream(sums, out, |sum| sum.calls),
        Metric::UpstreamInstances => {
            for ([name], sum) in &sums.vpc_accesses {
                for (state, n) in State::ALL.iter().zip(sum.instances) {
                    out.sample(&[name, state.name()], n);
                }
            }
        }
        Metric::UpstreamIdle => upstream(sums, out, |sum| sum.idle),

        Metric::LogWritten => out.sample(&[], sources.log_lines_written()),
        Metric::LogDropped => out.sample(&[], sources.log_lines_dropped()),
    }
}

/// Codes of HTTP/2 that have been said.
fn by_code(sources: &Sources, out: &mut Samples<'_>, of: fn(&Counters) -> &[Count; CODES.len()]) {
    for (place, code) in CODES.iter().enumerate() {
        let n = sources.sum(|counters| of(counters)[place].get());
        if n > 0 {
            out.sample(&[code], n);
        }
    }
}

fn with<'a>(labels: &'a [String; 3], last: &'a str) -> [&'a str; 4] {
    let [group, api, stage] = labels;
    [group, api, stage, last]
}

fn durations(sums: &Sums, out: &mut Samples<'_>, of: fn(&ApiSum) -> &Distribution) {
    for ([group, api, stage], sum) in sums.apis.iter().filter(|(_, sum)| of(sum).count() > 0) {
        out.histogram(&[group, api, stage], of(sum));
    }
}

fn policies(sums: &Sums, out: &mut Samples<'_>, of: fn(&Used) -> u64) {
    for ([policy, rule], used) in &sums.quotas.policies {
        out.sample(&[policy, rule], of(used));
    }
}

fn upstream(sums: &Sums, out: &mut Samples<'_>, of: fn(&VpcAccessSum) -> u64) {
    for ([name], sum) in &sums.vpc_accesses {
        out.sample(&[name], of(sum));
    }
}

/// Refusals, by a kind that some codes have; every kind has a sample from the start.
fn by_kind(sums: &Sums, out: &mut Samples<'_>, kind: fn(ErrorCode) -> Option<&'static str>) {
    let mut kinds = BTreeMap::<_, u64>::new();
    for (code, n) in ErrorCode::ALL.iter().zip(&sums.refused) {
        if let Some(kind) = kind(*code) {
            *kinds.entry(kind).or_default() += n;
        }
    }
    kinds.iter().for_each(|(kind, n)| out.sample(&[kind], n));
}

/// Why a caller was not who it must be.
fn authentication_failure(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::A400MA => "no-credentials",
        ErrorCode::A401AC | ErrorCode::A400AC => "app-code",
        ErrorCode::A400IK => "app-key",
        ErrorCode::A403IS => "signature",
        ErrorCode::I400I5 => "content-md5",
        ErrorCode::S403TE => "timestamp",
        ErrorCode::I400NC => "nonce-missing",
        ErrorCode::S403NU => "nonce-used",
        ErrorCode::I403AA => "not-authorized",
        ErrorCode::A403EP => "authorization-expired",
        _ => return None,
    })
}

/// What a budget was used up of.
fn quota(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::T429ID => "default-domain",
        ErrorCode::T429IN => "instance",
        ErrorCode::T429GR => "group",
        ErrorCode::T429PA => "api",
        ErrorCode::T429PR => "plug-in",
        ErrorCode::T429UT => "usage-plan",
        ErrorCode::T429SR => "server",
        ErrorCode::T429MR => "other",
        _ => return None,
    })
}
