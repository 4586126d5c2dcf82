//! Floods: what each costs the gateway, while good clients go on calling over HTTP and HTTPS.
//!
//! In short, and in the suite, what load cannot change is looked at: every good call is answered, memory stays within its
//! bound, what came is counted, and logged once. `LOCKGATE_FLOOD_S=20 tests/run --cargo-profile release --test floods
//! --no-capture | grep '^|'` takes that long for each of them, looks at the time as well, and prints the table of
//! SPECIFICATION.md.

#[path = "floods/attack.rs"]
mod attack;
#[path = "floods/frames.rs"]
mod frames;
#[path = "soak/good.rs"]
mod good;
#[path = "soak/rude.rs"]
mod rude;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use attack::Attack;
use good::{Calls, Over, call};
use lockgate_test_support::{
    Backend, Client, DEADLINE, Deadline, Gateway, Request, TlsClient, client_config, lower_priority, secured, thread_ms,
};
use rustls::ClientConfig;

/// Every wait of a client is short, so that a flood that waits is over soon; `body_bytes_per_second` is for trickles.
const LIMITS: &str = "head_timeout_ms = 1000\nbody_timeout_ms = 1000\nsend_timeout_ms = 1000\nidle_timeout_ms = 20000\n\
                      linger_timeout_ms = 200\ntls_handshake_timeout_ms = 1000\nbody_bytes_per_second = 1000\n\
                      pool_idle_timeout_ms = 500\npool_connections = 1000\nstand_aside_ms = 0\n";

struct Flood {
    name: &'static str,
    attack: fn(&Attack<'_>),
    /// Threads that do it.
    threads: usize,
    limits: &'static str,
    /// Samples of the metrics that tell of it.
    counted: &'static [&'static str],
    /// Requests that one connection may make.
    requests_each: usize,
    /// The gateway says once that there is no room.
    turns_away: bool,
    /// The gateway says once that rules are broken.
    breaks_rules: bool,
    /// The most memory that it costs, in MiB beyond what the gateway has before.
    most_mib: u64,
    /// The longest that 99 of 100 good calls take, as a multiple of what they take in quiet.
    most_times: u64,
    /// The most processor time that the gateway takes for all of it, in percent of a core; two workers have 200.
    most_busy: u64,
}

const FLOOD: Flood = Flood {
    name: "",
    attack: |_| {},
    threads: 1,
    limits: "",
    counted: &[],
    requests_each: 1,
    turns_away: false,
    breaks_rules: false,
    most_mib: 8,
    most_times: 3,
    most_busy: 200,
};

macro_rules! floods {
    ($(fn $test:ident(): $name:literal, $attack:ident, $counted:expr, { $($key:ident: $value:expr),* };)*) => {
        $(#[test]
        fn $test() {
            withstand(&Flood { name: $name, attack: |attack| attack.$attack(), counted: $counted, $($key: $value,)* ..FLOOD });
        })*
    };
}

floods! {
    fn slow_heads(): "slow heads, 200 at once", slow_heads,
        &["lockgate_timeouts_total{wait=\"head\"}", "lockgate_refused_total{code=\"I400HD\"}"], { most_busy: 40 };
    fn slow_bodies(): "slow bodies, 200 at once", slow_bodies,
        &["lockgate_timeouts_total{wait=\"body\"}", "lockgate_refused_total{code=\"I400BD\"}"], { most_mib: 16, most_busy: 60 };
    fn slow_readers(): "slow readers of 8 MiB, 100 at once", slow_readers, &["lockgate_timeouts_total{wait=\"send\"}"],
        { most_mib: 24, most_busy: 40 };
    fn idle_connections(): "1,000 idle connections where 100 may be", idle_connections, &["lockgate_connections_ended_total"],
        { limits: "connections = 100", most_busy: 60 };
    fn one_address(): "300 busy connections of an address that may have 50", one_address, &["lockgate_connections_shed_total"],
        { limits: "connections_per_address = 50", turns_away: true, most_busy: 60 };
    fn connections(): "connections from 250 addresses that come and go", connections, &["lockgate_connections_accepted_total"],
        { threads: 2 };
    fn tiny_chunks(): "chunks of a byte", tiny_chunks, &["lockgate_received_bytes_total"], { threads: 2 };
    fn chunk_extensions(): "chunk extensions without end", chunk_extensions, &["lockgate_refused_total{code=\"I400BD\"}"],
        { threads: 2 };
    fn trailers(): "trailers without end", trailers, &["lockgate_refused_total{code=\"I400BD\"}"], { threads: 2 };
    fn fields(): "fields without number", fields, &["lockgate_refused_total{code=\"I400HD\"}"], { threads: 2 };
    fn endless_field(): "a field without end", endless_field, &["lockgate_refused_total{code=\"I400HD\"}"], { threads: 2 };
    fn handshakes(): "full TLS handshakes", handshakes, &["lockgate_tls_handshakes_total"], { threads: 4, most_mib: 16 };
    fn half_handshakes(): "500 TLS handshakes that stop after the first flight, where 64 may be", half_handshakes,
        &["lockgate_timeouts_total{wait=\"handshake\"}", "lockgate_tls_handshakes_shed_total"],
        { limits: "tls_handshakes = 32", turns_away: true };
    fn slow_handshakes(): "200 TLS handshakes a byte at a time", slow_handshakes,
        &["lockgate_tls_handshake_failures_total"], { most_busy: 60 };
    fn no_handshakes(): "what is no TLS, on its port", no_handshakes, &["lockgate_tls_handshake_failures_total"], { threads: 2 };
    fn rapid_reset(): "HTTP/2: streams opened and reset at once", rapid_reset,
        &["lockgate_http2_floods_total", "lockgate_http2_streams_given_up_total"],
        { threads: 2, breaks_rules: true, requests_each: 210 };
    fn continuations(): "HTTP/2: heads continued without end", continuations, &["lockgate_http2_floods_total"],
        { threads: 2, breaks_rules: true };
    fn settings(): "HTTP/2: settings without end", settings, &["lockgate_http2_floods_total"], { threads: 2, breaks_rules: true };
    fn pings(): "HTTP/2: pings without end", pings, &["lockgate_http2_floods_total"], { threads: 2, breaks_rules: true };
    fn empty_data(): "HTTP/2: empty data without end", empty_data, &["lockgate_http2_floods_total"],
        { threads: 2, breaks_rules: true };
    fn grants(): "HTTP/2: room granted for nothing, without end", grants, &["lockgate_http2_floods_total"],
        { threads: 2, breaks_rules: true };
    fn header_bombs(): "HTTP/2: heads of 10 KiB that unpack to 40 MB", header_bombs,
        &["lockgate_http2_goaways_total{code=\"ENHANCE_YOUR_CALM\"}"], { threads: 2, breaks_rules: true };
    fn malformed_heads(): "HTTP/2: heads that are no requests", malformed_heads,
        &["lockgate_http2_streams_reset_total{code=\"PROTOCOL_ERROR\"}"], { threads: 2, breaks_rules: true };
    fn zero_windows(): "HTTP/2: 100 answers of 8 MiB that get no room, on 5 connections", zero_windows,
        &["lockgate_timeouts_total{wait=\"send\"}"], { most_mib: 24, most_busy: 60, requests_each: 20 };
    fn key_updates(): "new keys of TLS 1.3 without end", key_updates, &["lockgate_tls_handshakes_total"], { threads: 2 };
}

/// Seconds of the long form of a flood.
fn seconds() -> Option<u64> {
    std::env::var("LOCKGATE_FLOOD_S").ok().and_then(|text| text.parse().ok())
}

/// What was seen while it lasted.
#[derive(Default)]
struct Seen {
    calls: Calls,
    /// Memory beyond what there was, at its highest.
    most_kib: u64,
    gateway_ms: u64,
    attackers_ms: u64,
}

/// Good clients, and so many threads of an attack, for so long.
fn run(gateway: &Gateway, tls: &Arc<ClientConfig>, flood: Option<&Flood>, time: Duration) -> Seen {
    let over = AtomicBool::new(false);
    let (small, post) = (Request::get("/small"), Request::new("POST", "/small").body([b'x'; 2000]));
    let before_kib = gateway.memory_kib("RssAnon");
    let before_ms = gateway.processor_ms();
    let mut seen = Seen::default();
    let attack = Attack { gateway, tls, over: &over };
    let connect = || TlsClient::connect(gateway.https(), "api.test", tls);
    std::thread::scope(|scope| {
        let _over = Over(&over);
        let attackers: Vec<_> = flood
            .iter()
            .flat_map(|flood| std::iter::repeat_n(flood.attack, flood.threads))
            .map(|run| {
                let attack = &attack;
                scope.spawn(move || {
                    // What is measured is how the gateway treats good clients, and not how the kernel shares out the cores.
                    if seconds().is_some() {
                        lower_priority();
                    }
                    let before = thread_ms();
                    run(attack);
                    thread_ms() - before
                })
            })
            .collect();
        let good = [
            scope.spawn(|| call(|| gateway.client(), Client::try_call, &small, &over)),
            scope.spawn(|| call(|| gateway.client(), Client::try_call, &post, &over)),
            scope.spawn(|| call(connect, TlsClient::try_call, &small, &over)),
        ];
        let (deadline, longest) = (Deadline::after(time), Deadline::after(time + DEADLINE));
        let is_seen = || flood.is_none_or(|flood| flood.counted.iter().all(|sample| counted(gateway, sample) > 0));
        // A good call that fails ends it at once; a machine that is slow to flood has its time.
        while !good.iter().any(|client| client.is_finished()) && (deadline.look_again() || !is_seen() && longest.look_again()) {
            seen.most_kib = seen.most_kib.max(gateway.memory_kib("RssAnon").saturating_sub(before_kib));
        }
        seen.gateway_ms = gateway.processor_ms() - before_ms;
        over.store(true, Ordering::Relaxed);
        seen.calls = Calls::join(good.map(|client| client.join().expect("a good call is answered")).into());
        seen.attackers_ms = attackers.into_iter().map(|attacker| attacker.join().expect("no attacker panics")).sum();
    });
    seen
}

/// Keeps nothing of what it is sent: there will be much of it.
fn backend() -> Backend {
    Backend::scripted(|peer| {
        while let Some(request) = peer.reader.request()? {
            if request.target() == "/large" {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n")?;
                (0..128).try_for_each(|_| peer.send([b'x'; 65_536]))?;
            } else {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
            }
        }
        Ok(())
    })
}

fn withstand(flood: &Flood) {
    let backend = backend();
    let (config, authority) = secured(backend.address, "", "");
    let limits = format!("{LIMITS}{}", flood.limits);
    let gateway = config.http2().table("limits", &limits).access_log().admin().without_huge_pages().start();
    let tls = client_config(&authority, &[], None);
    let base = gateway.base();
    let time = Duration::from_secs(seconds().unwrap_or(2));
    // Of connections and buffers there have been some.
    let mut quiet = run(&gateway, &tls, None, if seconds().is_some() { time / 2 } else { time / 8 });
    let mut seen = run(&gateway, &tls, Some(flood), time);
    gateway.returns_to(&base);

    let good = quiet.calls.took_us.len() + seen.calls.took_us.len();
    let (accepted, requests) = (counted(&gateway, "lockgate_connections_accepted_total"), told(&gateway, flood, good));
    let (quiet_us, us) = (quiet.calls.p99_us(), seen.calls.p99_us());
    let (busy, attackers_busy) = (seen.gateway_ms * 100 / time_ms(time), seen.attackers_ms * 100 / time_ms(time));
    println!(
        "\n| {} | {accepted} connections, {requests} requests | {:.1} MiB (at most {}) | {busy} % (at most {}) | {attackers_busy} % \
         | {us} µs, {quiet_us} µs in quiet: {:.1} times (at most {}) | `tests/floods.rs::{}` |",
        flood.name,
        seen.most_kib as f64 / 1024.0,
        flood.most_mib,
        flood.most_busy,
        us as f64 / quiet_us.max(1) as f64,
        flood.most_times,
        std::thread::current().name().unwrap_or_default(),
    );
    assert!(seen.most_kib <= flood.most_mib * 1024, "{} KiB", seen.most_kib);
    if seconds().is_some() {
        assert!(us <= flood.most_times * quiet_us + 1000, "99 % of good calls within {us} µs, {quiet_us} µs in quiet");
        assert!(busy <= flood.most_busy, "{busy} % of a core");
    }
}

fn time_ms(time: Duration) -> u64 {
    (time.as_millis() as u64).max(1)
}

fn counted(gateway: &Gateway, sample: &str) -> usize {
    gateway.metric(sample).unwrap_or_default() as usize
}

/// It is counted, each of its requests has one line in the access log, and nothing else is said of it but, once, that there is no
/// room, or that rules are broken. Returns how many requests there were beside the good ones.
fn told(gateway: &Gateway, flood: &Flood, good: usize) -> usize {
    for sample in flood.counted {
        assert!(counted(gateway, sample) > 0, "{sample}: {}", gateway.admin("/metrics").text());
    }
    let page = gateway.admin("/metrics").text();
    let ended = page.lines().filter_map(|line| line.strip_prefix("lockgate_requests_ended_total{")?.rsplit_once(' '));
    let ended: usize = ended.map(|(_, count)| count.parse::<usize>().expect("a count")).sum();
    assert_eq!(counted(gateway, "lockgate_access_log_lines_dropped_total"), 0);
    assert_eq!(gateway.access_log(ended).len(), ended, "a line for each request");
    // A good call whose kept connection was ended may have been made twice.
    let requests = ended.checked_sub(good).expect("every good call was counted");
    let connections = counted(gateway, "lockgate_connections_accepted_total");
    let most = connections * flood.requests_each;
    assert!(requests <= most, "{requests} requests of {connections} connections, which have {} each", flood.requests_each);
    let words = [("clients are turned away", flood.turns_away), ("clients break the rules", flood.breaks_rules)];
    words.iter().filter(|(_, is_said)| *is_said).for_each(|(words, _)| gateway.wait_for_output(words));
    let said = fs::read_to_string(gateway.path().join("output")).expect("the gateway has said something");
    words.iter().for_each(|(words, is_said)| assert_eq!(said.matches(words).count(), usize::from(*is_said), "{said}"));
    assert!(said.lines().count() < 20, "{said}");
    requests
}
