//! Limits a second over the gateways of a cluster: tokens of one bucket, that of the engine.

use std::thread;

use lockgate_test_support::{Backend, Client, Redis, Request, eventually, now_ms};

use super::{members, storm, wait_for_engine, wait_for_loss};

/// So many calls in turn on each of some connections to every gateway; when the first went out and the last answer came, and how many
/// passed.
fn timed_storm(gateways: &[lockgate_test_support::Gateway], connections: usize, each: u64) -> (u64, u64) {
    // They listen before they answer.
    gateways.iter().for_each(|gateway| eventually("it is ready", || (gateway.admin("/readyz").status() == 200).then_some(())));
    let began_ms = now_ms();
    let passed = storm(gateways, connections, each);
    (passed, now_ms() - began_ms)
}

/// Of a limit without a queue: what the bucket holds, and what comes while there are calls.
#[test]
fn what_passes_of_a_limit_a_second_is_its_bucket_and_its_rate() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    for (limit, each) in [(5u64, 150), (60, 150), (400, 300)] {
        let cluster = format!("key_prefix = \"l{limit}\"\nwait_ms = 15000");
        let gateways = members(
            3,
            &backend,
            redis.address,
            &cluster,
            &format!("unit = \"second\"\nblocking = \"quick-return\"\napi = {limit}"),
        );
        let (passed, took_ms) = timed_storm(&gateways, 4, each);
        // The last second's tokens may be in the bucket still, where the calls have ended.
        let (least, most) = ((limit * took_ms / 1000).min(12 * each), limit + (limit * took_ms).div_ceil(1000) + 1);
        assert!((least..=most).contains(&passed), "{passed} of {least} to {most} in {took_ms} ms: {}", gateways[0].output());
    }
}

/// All at once: the bucket and the queue are those of the cluster, and whoever has a place gets a token in turn.
#[test]
fn calls_wait_in_one_queue_for_all_gateways() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    let limits = "unit = \"second\"\napi = 10\nqueue = 25\nqueue_wait_ms = 60000";
    let gateways = members(3, &backend, redis.address, "wait_ms = 15000", limits);
    gateways.iter().for_each(|gateway| eventually("it is ready", || (gateway.admin("/readyz").status() == 200).then_some(())));
    let request = Request::get("/x").bytes();
    let mut clients: Vec<Client> = (0..90).map(|n| gateways[n % 3].client()).collect();
    let began_ms = now_ms();
    clients.iter_mut().for_each(|client| _ = client.send(&request));
    let answered: Vec<(bool, u64)> = thread::scope(|scope| {
        let readers: Vec<_> = clients
            .iter_mut()
            .map(|client| scope.spawn(|| (client.response("GET").code().is_empty(), now_ms() - began_ms)))
            .collect();
        readers.into_iter().map(|reader| reader.join().expect("a caller ends well")).collect()
    });
    let passed = answered.iter().filter(|(passes, _)| *passes).count() as u64;
    let refused_ms = answered.iter().filter(|(passes, _)| !passes).map(|(_, at_ms)| *at_ms).max().expect("some are refused");
    let most = 10 + 25 + (10 * refused_ms).div_ceil(1000) + 1;
    assert!((35..=most).contains(&passed), "{passed} of 35 to {most}; refused until {refused_ms} ms");
    // Of those that wait, ten in a second.
    let last_ms = answered.iter().filter(|(passes, _)| *passes).map(|(_, at_ms)| *at_ms).max().expect("some pass");
    assert!(last_ms + 100 >= (passed - 10) * 100 - 100, "{passed} passed in {last_ms} ms");
}

#[test]
fn clients_that_leave_the_queue_give_their_places_up_to_all() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    let limits = "unit = \"second\"\napi = 1\nqueue = 60\nqueue_wait_ms = 60000";
    let gateways = members(2, &backend, redis.address, "wait_ms = 15000", limits);
    let queued = || gateways.iter().filter_map(|gateway| gateway.metric("lockgate_quota_queued_total")).sum::<f64>();
    // Until they wait who may, and a few more; tokens come meanwhile.
    let fill = |what: &str, until: f64| {
        let mut waiting: Vec<Client> = Vec::new();
        eventually(what, || {
            for gateway in &gateways {
                let mut client = gateway.client();
                client.send(Request::get("/x").bytes());
                waiting.push(client);
            }
            (queued() >= until).then_some(())
        });
        waiting
    };
    drop(fill("the queue is full", 60.0));
    // Left to themselves, places come free once a second.
    fill("others have their places", queued() + 50.0);
}

#[test]
fn without_the_engine_each_does_what_the_limit_says() {
    let one = |word: &str, lost: bool| {
        let (backend, mut redis) = (Backend::ok(), Redis::start());
        let limits = format!("unit = \"second\"\nblocking = \"quick-return\"\napi = 30\non_engine_loss = \"{word}\"");
        let gateways = members(3, &backend, redis.address, "nodes = 3\nwait_ms = 10000", &limits);
        redis.kill();
        wait_for_loss(&gateways);
        let (passed, took_ms) = timed_storm(&gateways, 4, 60);
        let of_all = if word == "allow" { 90 } else { 30 };
        let most = if lost { of_all + (of_all * took_ms).div_ceil(1000) + 3 } else { 0 };
        let least = if lost { of_all } else { 0 };
        assert!((least..=most).contains(&passed), "{word}: {passed} of {least} to {most}");
        redis.restart();
        wait_for_engine(&gateways, 1);
        let (passed, took_ms) = timed_storm(&gateways, 4, 60);
        let most = 30 + (30 * took_ms).div_ceil(1000) + 1;
        assert!((30 * took_ms / 1000..=most).contains(&passed) && passed >= 30, "{word}: {passed} of {most}, with it again");
    };
    thread::scope(|scope| {
        let one = &one;
        for (word, lost) in [("refuse", false), ("local-share", true), ("allow", true)] {
            scope.spawn(move || one(word, lost));
        }
    });
}

#[test]
fn a_bucket_is_shown_and_filled_for_all_gateways() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    let limits = "unit = \"second\"\nblocking = \"quick-return\"\napi = 1\nfields = \"x-ratelimit\"";
    let gateways = members(2, &backend, redis.address, "wait_ms = 15000", limits);
    // Ones that come soon after each other.
    eventually("a call uses the token up for the other gateway", || {
        let (first, second) = (gateways[0].get("/x"), gateways[1].get("/x"));
        let rows: serde_json::Value = serde_json::from_str(&gateways[1].ok(&["quota", "--format", "json"])).expect("JSON");
        let shown = rows[0]["used"].as_u64() == Some(1) && rows[0]["left"].as_u64() == Some(0);
        (first.code().is_empty() && second.code() == "T429PA" && second.field("X-RateLimit-Remaining") == Some("0") && shown)
            .then_some(())
    });
    eventually("it is filled for both", || {
        let used = gateways[1].get("/x").code().is_empty() || gateways[1].get("/x").code() == "T429PA";
        gateways[0].ok(&["quota", "reset", "p", "g/all"]);
        (used && gateways[1].get("/x").code().is_empty()).then_some(())
    });
}
