//! What the metrics of a request cost its worker: the cells that it is counted in, when it has ended.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use lockgate::gate::ErrorCode;
use lockgate::observe::counters::{Counters, Finished, Names};
use lockgate::observe::record::Ended;
use lockgate::observe::series::Place;

/// APIs that are called in turn, so that it is not one warm line that is measured.
const APIS: usize = 1000;

fn counters(timed: bool) -> (Counters, Vec<Place>) {
    let counters = Counters::new(ErrorCode::NAMES, Names { apis: APIS, vpc_accesses: 10 }, timed);
    let places = (0..APIS).map(|n| counters.apis.place(["group", &format!("api-{n}"), "RELEASE"])).collect();
    (counters, places)
}

fn finished(n: usize) -> Finished {
    Finished {
        status: 200,
        refused: None,
        ended: Ended::Answered,
        received_bytes: 200,
        sent_bytes: 1000,
        // Into several buckets.
        total_us: 300 << (n % 8),
        backend_us: Some(200 << (n % 8)),
    }
}

fn count(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("metrics");
    for (name, timed, apis) in [("one API", true, 1), ("1000 APIs", true, APIS), ("1000 APIs, without durations", false, APIS)] {
        let (counters, places) = counters(timed);
        let requests: Vec<_> = (0..APIS).map(|n| (places[n.wrapping_mul(7919) % apis], finished(n))).collect();
        let mut turn = requests.iter().cycle();
        bench.bench_function(name, |b| {
            b.iter(|| {
                let (place, request) = turn.next().expect("endless");
                counters.finished(counters.apis.cells(*place), black_box(request));
            });
        });
    }
}

criterion_group!(benches, count);
criterion_main!(benches);
