//! What counting costs: three policies on a worker's own leases, a counter among a million, and threads that count to the
//! same three counters.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use lockgate::gate::quota::window::Period;
use lockgate::gate::quota::{Budget, Lessee, Quotas, Want, Wants};

const NOW_MS: u64 = 1_800_000_000_000;
/// Large enough never to be reached.
const LIMIT: u64 = 1 << 33;

fn wants(ids: &[u64]) -> Wants<'static> {
    let mut wants = Wants::default();
    for &id in ids {
        let budget = Budget::window(Period::Minute, NOW_MS, 0);
        assert!(wants.push(Want { id, budget, limit: LIMIT, rule: 9, subject: b"demo-app", ..Want::default() }));
    }
    wants
}

fn take(quotas: &Quotas, lessee: &mut Lessee, ids: &[u64]) -> bool {
    quotas.take(lessee, &mut wants(black_box(ids)), NOW_MS, false).is_ok()
}

fn ids(quotas: &Quotas, n: u64) -> Vec<u64> {
    (0..n).map(|n| quotas.id(&[&n.to_le_bytes()])).collect()
}

fn local(criterion: &mut Criterion) {
    let quotas = Quotas::own(100_000, 2, [7; 16]);
    let (mut lessee, ids) = (quotas.lessee(0), ids(&quotas, 3));
    for n in [1, 3] {
        criterion.bench_function(&format!("quota/policies/{n}"), |b| b.iter(|| take(&quotas, &mut lessee, &ids[..n])));
    }
}

/// Every call is of another counter: none has a lease that is its own.
fn among_a_million(criterion: &mut Criterion) {
    let quotas = Quotas::own(1_000_000, 2, [7; 16]);
    let (mut lessee, ids) = (quotas.lessee(0), ids(&quotas, 1_000_000));
    assert!(ids.iter().all(|id| take(&quotas, &mut lessee, &[*id])), "there is room for all of them");
    let mut at = 0;
    criterion.bench_function("quota/among a million", |b| {
        b.iter(|| {
            at = (at + 617_681) % ids.len();
            take(&quotas, &mut lessee, &ids[at..=at])
        });
    });
}

/// Processor time of an operation of one thread, while others do the same.
fn contended(criterion: &mut Criterion) {
    for threads in [1, 2, 4, 8] {
        let quotas = Quotas::own(100_000, 8, [7; 16]);
        let ids = ids(&quotas, 3);
        criterion.bench_function(&format!("quota/threads/{threads}"), |b| {
            b.iter_custom(|times| {
                let (done, ends) = (AtomicU64::new(0), AtomicBool::new(false));
                let took = std::thread::scope(|scope| {
                    for n in 1..threads {
                        let (quotas, ids, done, ends) = (&quotas, &ids[..], &done, &ends);
                        scope.spawn(move || {
                            let mut lessee = quotas.lessee(n);
                            while !ends.load(Ordering::Relaxed) {
                                take(quotas, &mut lessee, ids);
                            }
                            done.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                    let mut lessee = quotas.lessee(0);
                    let before = processor_time();
                    (0..times).for_each(|_| _ = black_box(take(&quotas, &mut lessee, &ids)));
                    let took = processor_time() - before;
                    ends.store(true, Ordering::Relaxed);
                    took
                });
                assert_eq!(done.into_inner(), threads as u64 - 1);
                took
            });
        });
    }
}

/// Of this thread.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is written during the call alone.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

criterion_group!(benches, local, among_a_million, contended);
criterion_main!(benches);
