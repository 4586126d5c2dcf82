//! The steady state allocates nothing: a worker runs in this process, and every allocation of its thread is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use lockgate::catalog::{self, Driver};
use lockgate::gate::Shared;
use lockgate::net::bell::bell;
use lockgate::net::{Admission, clock, listen};
use lockgate::observe::access_log::{Destination, Sink, Writer};
use lockgate::observe::counters::Counters;
use lockgate::observe::status::Status;
use lockgate::upstream::board::Board;
use lockgate::worker::handover::{Generation, Handover};
use lockgate::worker::{self, Provision};
use lockgate_test_support::{Api, App, Backend, Config, Request, Signer};

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

fn count() {
    if COUNTED.try_with(Cell::get) == Ok(true) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: everything is passed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WARM_UP: usize = 200;
const MEASURED: usize = 300;
const ROUNDS: usize = 3;

/// Sends a request that is answered in one piece, again and again, and takes the answers without an allocation.
fn call(client: &mut TcpStream, request: &[u8], times: usize) {
    let mut answer = [0; 32 * 1024];
    for _ in 0..times {
        client.write_all(request).expect("the gateway takes the request");
        let mut len = 0;
        while !answer[..len].ends_with(b"good") {
            let n = client.read(&mut answer[len..]).expect("an answer");
            assert!(n > 0, "{}", answer[..len].escape_ascii());
            len += n;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", answer[..len].escape_ascii());
    }
}

/// Allocations of a worker in the steady state, over all measured calls of one kind.
fn allocations(driver: Driver, requests: &[Vec<u8>], config: &Config, log: Option<&Path>) -> Vec<usize> {
    let catalog = catalog::load(config.path()).unwrap_or_else(|_| panic!("the documents are sound"));
    let counters = Arc::<Counters>::default();
    let writer = log.map(|file| Writer::start(Destination::File(file.into())).expect("the log can be written"));
    let stop = Arc::new(AtomicBool::new(false));
    let ((ready, is_ready), (begin, begins)) = (channel(), channel());
    let listener = listen::bind(config.address()).expect("the port is this test's own");
    let settings = catalog.listeners[0];
    let shared = Arc::new(Shared::new(&catalog, clock::unix_ms(), [7; 16]));
    let generation = Generation::build(None, 1, catalog, &shared, &Board::new(1));
    let (ringer, bell) = bell().expect("a pair of sockets");
    let status = Arc::new(Status::new(1, clock::unix_ms()));
    let provision = Provision {
        number: 0,
        handover: Arc::new(Handover::new(&generation, [ringer].into(), status)),
        generation,
        bell,
        shared,
        admission: Admission::new(1024),
        engine: None,
        listeners: vec![(listener, settings)],
        log: writer.as_ref().map_or_else(|| Sink::none(counters.clone()), |writer| writer.sink(counters.clone())),
        counters,
        driver,
        stop: stop.clone(),
        ready,
        begin: begins,
    };
    let worker = std::thread::spawn(move || {
        COUNTED.set(true);
        worker::run(provision);
    });
    is_ready.recv().expect("the worker speaks").expect("the worker starts");
    begin.send(()).expect("the worker waits");
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > 0, "the worker's thread is counted");
    let mut client = TcpStream::connect(config.address()).expect("the worker listens");
    let counted = requests.iter().map(|request| {
        call(&mut client, request, WARM_UP);
        // A list may still grow once, when a busy machine lets more pile up than before; what a request costs shows in
        // every round.
        let rounds = (0..ROUNDS).map(|_| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            call(&mut client, request, MEASURED);
            ALLOCATIONS.load(Ordering::Relaxed) - before
        });
        rounds.min().unwrap_or_default()
    });
    let counted = counted.collect();
    drop(client);
    stop.store(true, Ordering::Relaxed);
    worker.join().expect("the worker ends well");
    if let Some(writer) = writer {
        writer.finish(|| false);
    }
    counted
}

/// One test, because the counter is one: plain calls, AppCodes, signatures, bodies of some bytes and of many in either
/// direction, with and without a log, on both drivers.
#[test]
fn the_steady_state_allocates_nothing() {
    let backend = Backend::answering(|request| {
        let body = if request.target() == "/large" { format!("{}good", "x".repeat(16 * 1024 - 4)) } else { "good".into() };
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    });
    let app = App::alpha();
    let signed = Signer::new(&app.key, &app.secret);
    let requests = [
        Request::get("/open?a=1").bytes(),
        Request::new("POST", "/open").body("hello").bytes(),
        Request::new("POST", "/open").field("Transfer-Encoding", "chunked").body("5\r\nhello\r\n0\r\n\r\n").bytes(),
        Request::new("POST", "/open").body("x".repeat(10 * 1024)).bytes(),
        Request::get("/large").bytes(),
        Request::get("/app?b=2").app_code(&app.code).bytes(),
        signed.sign(Request::get("/app?c=3&a=1").field("Accept", "*/*")).bytes(),
    ];
    {
        for (driver, with_log) in [(Driver::IoUring, false), (Driver::IoUring, true), (Driver::Epoll, false)] {
            let config = Config::with_backend(backend.address)
                .published(&Api::open("open", "/open"))
                .published(&Api::open("large", "/large"))
                .published(&Api::app("app", "/app"))
                .app(&app.clone().may_call("g/app", &["RELEASE"]));
            let log = config.path().join("access.log");
            let counted = allocations(driver, &requests, &config, with_log.then_some(log.as_path()));
            let most = match driver {
                // Batches of the log go round; now and then one more is taken into the round.
                _ if with_log => 50,
                // Where epoll finds every operation ready, each run of them ends with a pause, and a pause is boxed.
                Driver::Epoll => MEASURED / 4,
                _ => 0,
            };
            assert!(counted.iter().all(|&n| n <= most), "{driver:?}, log {with_log}: {counted:?} for {MEASURED} calls each");
        }
    }
}
