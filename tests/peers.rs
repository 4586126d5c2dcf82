//! A peer may vanish at any moment: at each wait of an exchange the client or the backend leaves, politely or with a
//! reset, in any order and by the thousand. Afterwards the gateway has what it had before: no connection, no
//! descriptor, no counter of what is under way, and no memory more.
//!
//! `LOCKGATE_PEER_ROUNDS=240 tests/run peers::` are 100,800 visits on each driver; `LOCKGATE_PEER_WORKERS` and
//! `LOCKGATE_SEED` are for the number of workers and the order.

#[path = "peers/visit.rs"]
mod visit;

use std::sync::Mutex;

use lockgate_test_support::{Api, App, Backend, Config};
use visit::{ATS, BACKEND_WAYS, Leave, visit};

/// A shuffle that a seed repeats (xorshift64).
fn shuffle<T>(list: &mut [T], mut seed: u64) {
    for i in (1..list.len()).rev() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        list.swap(i, (seed % (i as u64 + 1)) as usize);
    }
}

/// `LOCKGATE_PEER_ROUNDS`: how often all combinations are gone through. `LOCKGATE_SEED`: their order.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn vanish(driver: &str, workers: usize) {
    let backend = Backend::scripted(visit::backend);
    let gateway = Config::with_backend(backend.address)
        .instance(&format!("workers = {workers}\ndriver = {driver:?}"))
        .table("limits", "pool_idle_timeout_ms = 200\nidle_timeout_ms = 3000\nhead_timeout_ms = 1000\nbody_timeout_ms = 1000\nsend_timeout_ms = 1000")
        .published(&Api::open("open", "/*").timeout_ms(2000))
        .published(&Api::app("signed", "/signed"))
        .app(&App::alpha().may_call("g/signed", &["RELEASE"]))
        .table("access_log", "path = \"off\"")
        .without_huge_pages()
        .admin()
        .start();
    let mut visits = Vec::new();
    for at in ATS {
        for how in [Leave::Close, Leave::Reset, Leave::Never] {
            for way in BACKEND_WAYS {
                for backend_how in [Leave::Close, Leave::Reset] {
                    visits.push((at, how, way, backend_how));
                }
            }
        }
    }
    let base = gateway.base();
    let seed = number("LOCKGATE_SEED", 0x5eed_1ece);
    let mut memory = Vec::new();
    for round in 0..number("LOCKGATE_PEER_ROUNDS", 2) {
        shuffle(&mut visits, seed.wrapping_add(round) | 1);
        let queue = Mutex::new(visits.iter());
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    while let Some(&(at, how, way, backend_how)) = { queue.lock().expect("no client panicked").next() } {
                        visit(&gateway, at, how, way, backend_how);
                    }
                });
            }
        });
        eprintln!("round {round} of seed {seed}");
        gateway.returns_to(&base);
        backend.wait_for_open_connections(0);
        memory.push(gateway.memory_kib("RssAnon"));
    }
    let visited = visits.len() * memory.len();
    println!("{visited} visits, {driver}, {workers} workers; memory after each round: {memory:?} KiB");
    for _ in 0..8 {
        gateway.get("/never/Close/none").assert_passed();
    }
    flat(&memory);
    assert!(!gateway.output().contains("panicked"), "{}", gateway.output());
}

/// After the first rounds, which have taken what will be used again, memory does not grow. Two rounds alone say little.
fn flat(memory: &[u64]) {
    let most = |part: &[u64]| part.iter().max().copied().unwrap_or_default();
    let quarter = memory.len() / 4;
    let (early, late, room) = match quarter {
        0 => (most(&memory[..1]), most(memory), 16 * 1024),
        _ => (most(&memory[quarter..2 * quarter]), most(&memory[memory.len() - quarter..]), 2 * 1024),
    };
    assert!(late <= early + room, "memory grows from {early} to {late} KiB: {memory:?}");
}

#[test]
fn peers_that_vanish_leave_nothing_behind() {
    vanish("io_uring", number("LOCKGATE_PEER_WORKERS", 2) as usize);
}

#[test]
fn peers_that_vanish_leave_nothing_behind_on_epoll() {
    vanish("epoll", number("LOCKGATE_PEER_WORKERS", 2) as usize);
}
