//! A worker with a bug in it: an API whose VPC access is not there, which no catalog that was checked can have. Whoever
//! calls it makes the code of its connection panic.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;

use lockgate_test_support::{Backend, Client, Request, eventually};

use super::*;
use crate::catalog::{self, Scheme};
use crate::gate::sample::Sample;
use crate::net::bell::bell;
use crate::net::listen;
use crate::observe::status::Status;
use crate::upstream::board::Board;

struct Worker {
    address: SocketAddr,
    counters: Arc<Counters>,
    admission: Arc<Admission>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// With the APIs `/good` and `/bad`.
    fn start(driver: Driver, backend: SocketAddr) -> Self {
        let mut sample = Sample::default();
        let group = sample.group("g", "", &["*"]);
        sample.api(group, "good", 0, "ANY", "/good");
        let bad = sample.api(group, "bad", 0, "ANY", "/bad");
        let catalog::Backend::Vpc { vpc_access, .. } = &mut sample.api_mut(bad).backend;
        *vpc_access = catalog::VpcAccessId(99);
        Arc::get_mut(&mut sample.catalog.vpc_accesses[0]).unwrap().instances[0].address = backend;

        let (catalog, board) = (Arc::new(sample.catalog), Board::new(1));
        let shared = Arc::new(Shared::new(&catalog, 0, [7; 16]));
        let generation = Generation::build(None, 1, catalog, &shared, &board);
        let (ringer, bell) = bell().unwrap();
        let handover = Arc::new(Handover::new(&generation, [ringer].into(), Arc::new(Status::new(1, 0))));
        let counters = Arc::<Counters>::default();
        let admission = Admission::new(1024);
        let stop = Arc::<AtomicBool>::default();
        let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (begin, begins) = std::sync::mpsc::channel();
        let provision = Provision {
            number: 0,
            generation,
            handover,
            bell,
            shared,
            engine: None,
            admission: admission.clone(),
            listeners: vec![(listener, catalog::Listener { address, scheme: Scheme::Http, http2: false })],
            log: Sink::none(counters.clone()),
            counters: counters.clone(),
            driver,
            stop: stop.clone(),
            ready,
            begin: begins,
        };
        let thread = std::thread::spawn(|| run(provision));
        is_ready.recv().unwrap().unwrap();
        begin.send(()).unwrap();
        Self { address, counters, admission, stop, thread }
    }
}

#[test]
fn a_panic_ends_its_connection_alone() {
    const PANICS: u64 = 50;
    for driver in [Driver::IoUring, Driver::Epoll] {
        let (backend, release) = Backend::held();
        let worker = Worker::start(driver, backend.address);
        // Two calls are with the backend, and one client waits between two requests.
        let mut others: Vec<_> = (0..3).map(|_| Client::connect(worker.address)).collect();
        let good = Request::get("/good").bytes();
        for _ in 0..3 {
            release.send(()).unwrap();
        }
        others.iter_mut().for_each(|client| client.call(&Request::get("/good")).assert_passed());
        others[..2].iter_mut().for_each(|client| _ = client.send(&good));
        eventually("calls are under way", || (backend.count() == 5).then_some(()));
        for n in 0..PANICS {
            let mut stream = TcpStream::connect(worker.address).unwrap();
            // What came with the request is not looked at any more.
            let request = Request::new("POST", "/bad").body([b'x'; 1000]).bytes();
            stream.write_all(&[request, good.clone()].concat()).unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert_eq!(answer, b"", "{n}");
        }
        eventually("every one is counted", || (worker.counters.panics.get() == PANICS).then_some(()));
        for _ in 0..3 {
            release.send(()).unwrap();
        }
        others[..2].iter_mut().for_each(|client| client.response("GET").assert_passed());
        others[2].call(&Request::get("/good")).assert_passed();
        assert_eq!(backend.count(), 6, "nothing of a connection that panicked went on");
        // Nor does it leave a place taken, or a connection open.
        assert_eq!(worker.admission.count(), 3);
        eventually("only three are open", || (worker.counters.connections_open.get() == 3).then_some(()));
        drop(others);
        eventually("all have gone", || (worker.admission.count() == 0).then_some(()));
        worker.stop.store(true, Ordering::Relaxed);
        worker.thread.join().expect("the worker ends well");
    }
}
