//! A nonce passes once, over all workers, however many copies of a request arrive at the same moment.

use std::io::Write;
use std::sync::{Barrier, Mutex};
use std::thread;

use lockgate_test_support::{Api, App, Backend, Client, Config, Request, Signer, eventually};

const COPIES: usize = 10_000;
const CONNECTIONS: usize = 50;

#[test]
fn of_ten_thousand_copies_one_reaches_the_backend() {
    for workers in [2, 4] {
        let backend = Backend::ok();
        let gateway = Config::with_backend(backend.address)
            .instance(&format!("workers = {workers}"))
            .published(&Api::app("a", "/a"))
            .app(&App::alpha().may_call("g/a", &["RELEASE"]))
            .start();
        let app = App::alpha();
        let request = Signer::new(&app.key, &app.secret).sign(Request::get("/a").field("X-Ca-Nonce", "once"));
        let copies = request.bytes().repeat(COPIES / CONNECTIONS);
        let start = Barrier::new(CONNECTIONS);
        let codes: Vec<String> = thread::scope(|scope| {
            let callers: Vec<_> = (0..CONNECTIONS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut client = gateway.client();
                        start.wait();
                        client.send(&copies);
                        (0..COPIES / CONNECTIONS).map(|_| client.response("GET").code().to_owned()).collect::<Vec<_>>()
                    })
                })
                .collect();
            callers.into_iter().flat_map(|c| c.join().expect("a caller ends well")).collect()
        });
        assert_eq!(codes.iter().filter(|c| c.is_empty()).count(), 1, "{workers} workers");
        assert_eq!(codes.iter().filter(|c| *c == "S403NU").count(), COPIES - 1, "{workers} workers");
        assert_eq!(backend.count(), 1, "{workers} workers");
    }
}

#[test]
fn what_was_accepted_before_a_kill_is_refused_after_it() {
    let backend = Backend::ok();
    let mut gateway = Config::with_backend(backend.address)
        .published(&Api::app("a", "/a"))
        .app(&App::alpha().may_call("g/a", &["RELEASE"]))
        .start();
    let app = App::alpha();
    let sign = |n: usize| Signer::new(&app.key, &app.secret).sign(Request::get("/a").field("X-Ca-Nonce", format!("n-{n}")));
    let requests: Vec<Request> = (0..150).map(sign).collect();
    let mut accepted = 0;
    for round in requests.chunks(50) {
        let mut client = gateway.client();
        round.iter().for_each(|request| client.call(request).assert_passed());
        accepted += round.len();
        gateway.restart();
        let mut client = gateway.client();
        requests[..accepted].iter().for_each(|request| client.call(request).assert_refused("S403NU"));
    }
    assert_eq!(backend.count(), requests.len());
    gateway.call(&sign(1000)).assert_passed();
}

/// The short form of a campaign: `LOCKGATE_NONCE_KILLS=200 tests/run nonce::`.
#[test]
fn what_was_accepted_under_load_before_a_kill_is_refused_after_it() {
    const CALLERS: usize = 8;
    let kills = std::env::var("LOCKGATE_NONCE_KILLS").map_or(4, |kills| kills.parse().expect("a number of kills"));
    let backend = Backend::ok();
    let mut gateway = Config::with_backend(backend.address)
        .published(&Api::app("a", "/a"))
        .app(&App::alpha().may_call("g/a", &["RELEASE"]))
        .start();
    let app = App::alpha();
    let sign = |nonce: String| Signer::new(&app.key, &app.secret).sign(Request::get("/a").field("X-Ca-Nonce", nonce)).bytes();
    for kill in 0..kills {
        let (address, accepted) = (gateway.address, Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for caller in 0..CALLERS {
                let (sign, accepted) = (&sign, &accepted);
                scope.spawn(move || {
                    let mut client = Client::connect(address);
                    // The end of the connection is the kill.
                    for n in 0.. {
                        let request = sign(format!("{kill} {caller} {n}"));
                        let sent = client.stream.write_all(&request);
                        match sent.and_then(|()| client.reader.response("GET")) {
                            Ok(answer) if answer.code().is_empty() => accepted.lock().expect("no caller panics").push(request),
                            Ok(answer) => panic!("a fresh nonce is refused: {}", answer.code()),
                            Err(_) => break,
                        }
                    }
                });
            }
            let enough = 40 + kill * 37 % 300;
            eventually("calls have passed", || (accepted.lock().expect("no caller panics").len() >= enough).then_some(()));
            gateway.restart();
        });
        let accepted = accepted.into_inner().expect("no caller panics");
        let mut client = gateway.client();
        accepted.iter().for_each(|request| client.send(request).response("GET").assert_refused("S403NU"));
    }
}

#[test]
fn a_damaged_file_of_nonces_is_set_aside_and_said_so() {
    let backend = Backend::ok();
    let config = Config::open(backend.address);
    config.write("state/nonces", "no state file");
    let gateway = config.start();
    gateway.wait_for_output("set aside as");
    gateway.get("/").assert_passed();
}
