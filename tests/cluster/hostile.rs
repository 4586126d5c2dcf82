//! An engine that does not do what it should: it answers with errors, or with what is no answer at all.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use lockgate_test_support::{Backend, Gateway, Redis, reserve};

use super::{members, signed, signing_members, storm, wait_for_engine, wait_for_loss};

const LIMITS: &str = "unit = \"day\"\napi = 90\non_engine_loss = \"local-share\"";

/// On its way to the engine; or, while it has `answers`, in its place: whatever is said gets them.
struct Impostor {
    address: SocketAddr,
    answers: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Impostor {
    fn before(engine: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let answers = Arc::<Mutex<Option<Vec<u8>>>>::default();
        let of_all = answers.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let answers = of_all.clone();
                thread::spawn(move || serve(client, engine, &answers));
            }
        });
        Self { address, answers }
    }

    fn says(&self, answers: Option<&[u8]>) {
        *self.answers.lock().expect("nobody panics") = answers.map(<[u8]>::to_vec);
    }
}

fn serve(mut client: TcpStream, engine: SocketAddr, answers: &Mutex<Option<Vec<u8>>>) -> Option<()> {
    let mut server = TcpStream::connect(engine).ok()?;
    let (mut from, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
    });
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = client.read(&mut buffer).ok().filter(|&n| n > 0)?;
        let says = answers.lock().expect("nobody panics").clone();
        match says {
            Some(says) => client.write_all(&says).ok()?,
            None => server.write_all(buffer.get(..n)?).ok()?,
        }
    }
}

/// Whatever it says: calls are answered, each gateway gives its share out, and all is well when it is the engine again.
#[test]
fn answers_that_are_none_are_a_loss_of_the_engine() {
    let many = b"+OK\r\n".repeat(1000);
    let nested = [&b"*1\r\n".repeat(100_000)[..], b":1\r\n"].concat();
    let says: [&[u8]; 12] = [
        b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"-NOSCRIPT No matching script. Please use EVAL.\r\n",
        b"-MOVED 1 127.0.0.1:1\r\n",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"$1099511627776\r\nx",
        b"*4\r\n:-1\r\n:99999999999\r\n$-1\r\n*0\r\n",
        b"\x00\xff\xfe",
        &many,
        &nested,
    ];
    let redis = Redis::start();
    let engine = redis.address;
    let one = |n: usize, says: &[u8]| {
        let (backend, impostor) = (Backend::ok(), Impostor::before(engine));
        let cluster = format!("nodes = 3\nwait_ms = 200\nkey_prefix = \"p{n}\"");
        let gateways = members(3, &backend, impostor.address, &cluster, LIMITS);
        let what = String::from_utf8_lossy(says.get(..says.len().min(40)).unwrap_or_default()).into_owned();
        impostor.says(Some(says));
        assert_eq!(storm(&gateways, 2, 50), 90, "{what}: a third each");
        wait_for_loss(&gateways);
        impostor.says(None);
        wait_for_engine(&gateways, 1);
        assert_eq!(storm(&gateways, 2, 20), 0, "{what}: all of it has been counted");
    };
    // A few at a time: most of it is waiting.
    for (part, some) in says.chunks(4).enumerate() {
        thread::scope(|scope| {
            let one = &one;
            some.iter().enumerate().for_each(|(n, says)| _ = scope.spawn(move || one(4 * part + n, says)));
        });
    }
}

/// A nonce passes by the engine's word alone.
#[test]
fn an_answer_that_is_none_lets_no_nonce_pass() {
    let (backend, redis) = (Backend::ok(), Redis::start());
    let impostor = Impostor::before(redis.address);
    for (n, says) in [&b":1\r\n"[..], b"$2\r\nOK\r\n", b"-OOM command not allowed\r\n", b"*0\r\n"].into_iter().enumerate() {
        let cluster = format!("wait_ms = 1000\nkey_prefix = \"p{n}\"");
        let gateways = signing_members(2, &backend, impostor.address, &cluster);
        gateways[0].call(&signed(&format!("first-{n}"))).assert_passed();
        impostor.says(Some(says));
        for gateway in &gateways {
            gateway.call(&signed(&format!("second-{n}"))).assert_refused("S403NU");
        }
        impostor.says(None);
    }
}

fn configure(redis: &Redis, name: &str, value: &str) {
    assert!(redis.ask(&["CONFIG", "SET", name, value]).starts_with("+OK"), "{name}");
}

/// What a gateway does of a real engine in such a state.
fn refuses_for_a_while(redis: &Redis, gateways: &[Gateway], breaks: impl Fn(&Redis), mends: impl Fn(&Redis)) {
    let before = storm(gateways, 1, 5);
    assert_eq!(before, 15);
    breaks(redis);
    wait_for_loss(gateways);
    let without = storm(gateways, 2, 20);
    mends(redis);
    wait_for_engine(gateways, 1);
    assert_eq!(before + without + storm(gateways, 2, 40), 90, "{without} of what had been leased passed meanwhile");
}

/// A real engine that is full, that has become a replica, or that wants a password all at once.
#[test]
fn an_engine_that_answers_errors_gives_nothing_and_is_used_again() {
    let limits = "unit = \"day\"\napi = 90\non_engine_loss = \"refuse\"";
    let backend = Backend::ok();
    let start = || {
        let redis = Redis::start();
        let gateways = members(3, &backend, redis.address, "wait_ms = 10000", limits);
        (redis, gateways)
    };
    let (redis, gateways) = start();
    refuses_for_a_while(
        &redis,
        &gateways,
        |redis| configure(redis, "maxmemory", "1"),
        |redis| configure(redis, "maxmemory", "0"),
    );
    let (redis, gateways) = start();
    let nobody = reserve();
    let port = nobody.address.port().to_string();
    let breaks = |redis: &Redis| assert!(redis.ask(&["REPLICAOF", "127.0.0.1", &port]).starts_with("+OK"));
    let mends = |redis: &Redis| assert!(redis.ask(&["REPLICAOF", "NO", "ONE"]).starts_with("+OK"));
    refuses_for_a_while(&redis, &gateways, breaks, mends);
    let (redis, gateways) = start();
    let mends = |redis: &Redis| {
        let mut stream = TcpStream::connect(redis.address).expect("redis listens");
        stream.write_all(b"AUTH a-password\r\nCONFIG SET requirepass \"\"\r\nQUIT\r\n").expect("it takes commands");
        stream.read_to_end(&mut Vec::new()).expect("it answers");
    };
    let breaks = |redis: &Redis| {
        configure(redis, "requirepass", "a-password");
        // Who was let in before stays so.
        let mut stream = TcpStream::connect(redis.address).expect("redis listens");
        stream.write_all(b"AUTH a-password\r\nCLIENT KILL TYPE normal SKIPME yes\r\nQUIT\r\n").expect("it takes commands");
        stream.read_to_end(&mut Vec::new()).expect("it answers");
    };
    refuses_for_a_while(&redis, &gateways, breaks, mends);
}
