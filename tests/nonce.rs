//! A nonce passes once, over all workers, however many copies of a request arrive at the same moment.

use std::sync::Barrier;
use std::thread;

use lockgate_test_support::{Api, App, Backend, Config, Request, Signer};

const COPIES: usize = 2_000;
const CONNECTIONS: usize = 50;

#[test]
fn of_two_thousand_copies_one_reaches_the_backend() {
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
