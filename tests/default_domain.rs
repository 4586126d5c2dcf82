//! The default domain of a group is for debugging: it answers a set number of calls a day, exactly, over all workers.

use std::thread;

use lockgate_test_support::{Api, Backend, Config, Gateway, Request};

const CALLS: usize = 100;

fn start(backend: &Backend, workers: usize) -> Gateway {
    Config::new()
        .instance(&format!("workers = {workers}"))
        .vpc_access("backend", backend.address, "")
        .group("g", &["api.example.com"], &format!("default_domain_calls_per_day = {CALLS}"))
        .group("other", &[], &format!("default_domain_calls_per_day = {CALLS}"))
        .published(&Api::open("all", "/*"))
        .published_to("other", &Api::open("all", "/*"), &["RELEASE"])
        // Far from the end of a day, wherever days begin.
        .at(1_800_003_600)
        .start()
}

/// Calls from many connections at once; how many passed, and how many were over the quota.
fn storm(gateway: &Gateway, host: &str, connections: usize, calls: usize) -> (usize, usize) {
    thread::scope(|scope| {
        let callers: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = gateway.client();
                    (0..calls).filter(|_| client.call(&Request::get("/x").host(host)).status() == 200).count()
                })
            })
            .collect();
        let passed = callers.into_iter().map(|c| c.join().expect("a caller ends well")).sum();
        (passed, connections * calls - passed)
    })
}

#[test]
fn exactly_the_quota_passes_over_all_workers() {
    for workers in [1, 4] {
        let backend = Backend::ok();
        let gateway = start(&backend, workers);
        let (passed, refused) = storm(&gateway, "g.localhost", 32, 10);
        assert_eq!((passed, refused), (CALLS, 320 - CALLS), "{workers} workers");
        assert_eq!(backend.count(), CALLS);
        let answer = gateway.call(&Request::get("/x").host("g.localhost"));
        answer.assert_refused("T429ID");
        // Neither the group's own domain nor another group's default domain is touched.
        gateway.call(&Request::get("/x").host("api.example.com")).assert_passed();
        gateway.call(&Request::get("/x").host("other.localhost")).assert_passed();
    }
}
