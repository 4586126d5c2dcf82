//! Connections to backends: kept, chosen, tried again where that is safe, and the errors when there is none.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use lockgate_test_support::{Api, Backend, Config, Gateway, Peer, Request, eventually, reserve};

const ONE_WORKER: &str = "workers = 1";

#[test]
fn a_connection_is_kept_and_used_again() {
    let backend = Backend::ok();
    let gateway = Config::open(backend.address).instance(ONE_WORKER).start();
    for _ in 0..20 {
        gateway.get("/").assert_passed();
    }
    assert_eq!((backend.count(), backend.connections()), (20, 1));
}

#[test]
fn a_backend_that_asks_for_the_end_is_not_used_again() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")?;
        peer.wait_for_close()
    });
    let gateway = Config::open(backend.address).instance(ONE_WORKER).start();
    for _ in 0..5 {
        gateway.get("/").assert_passed();
    }
    assert_eq!(backend.connections(), 5);
}

/// Closes each connection as the second request arrives on it, before any byte of an answer.
fn closing_on_reuse() -> Backend {
    Backend::scripted(|peer| {
        if peer.request()?.is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
            peer.request()?;
        }
        peer.close()
    })
}

#[test]
fn a_reused_connection_that_closes_is_tried_again_once() {
    let backend = closing_on_reuse();
    let gateway = Config::open(backend.address).instance(ONE_WORKER).start();
    for _ in 0..5 {
        gateway.get("/").assert_passed();
    }
    assert_eq!(backend.connections(), 5);
}

#[test]
fn a_request_that_may_not_be_sent_twice_is_not() {
    let backend = closing_on_reuse();
    let gateway = Config::open(backend.address).instance(ONE_WORKER).start();
    let post = || Request::new("POST", "/").field("Transfer-Encoding", "chunked").body("3\r\nabc\r\n0\r\n\r\n");
    gateway.call(&post()).assert_passed();
    let answer = gateway.call(&post());
    assert!(["D504CO", "N502RE"].contains(&answer.code()), "{answer:?}");
    assert_eq!(backend.count(), 2, "the second request was sent once");
}

#[test]
fn an_idle_connection_that_closed_goes_unnoticed() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        peer.close()
    });
    let gateway = Config::open(backend.address).instance(ONE_WORKER).start();
    for _ in 0..10 {
        gateway.get("/").assert_passed();
    }
}

#[test]
fn a_broken_first_connection_is_an_error_not_a_second_try() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.close()
    });
    let gateway = Config::open(backend.address).instance(ONE_WORKER).start();
    let answer = gateway.get("/");
    assert!(["D504CO", "N502RE"].contains(&answer.code()), "{answer:?}");
    assert_eq!(backend.count(), 1);
}

#[test]
fn bytes_after_an_answer_end_its_connection() {
    let backend = Backend::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil".to_vec()
    });
    let gateway = Config::open(backend.address).instance(ONE_WORKER).start();
    for _ in 0..3 {
        let answer = gateway.get("/");
        answer.assert_passed();
        assert_eq!(answer.text(), "ok");
    }
    assert_eq!(backend.connections(), 3);
}

#[test]
fn a_refused_connection_is_d504co() {
    let closed = reserve();
    let gateway = Config::open(closed.address).start();
    let answer = gateway.get("/");
    answer.assert_refused("D504CO");
    assert!(answer.error_message().contains("refused"), "{}", answer.error_message());
}

#[test]
fn an_instance_that_refuses_stands_aside_for_the_others() {
    let closed = reserve();
    let backend = Backend::ok();
    let gateway = Config::new()
        .instance(ONE_WORKER)
        .vpc_access_of("backend", &[closed.address, backend.address], "")
        .group("g", &["*"], "")
        .published(&Api::open("all", "/*"))
        .start();
    for _ in 0..20 {
        gateway.get("/").assert_passed();
    }
    assert_eq!(backend.count(), 20);
}

/// One VPC access over these instances, each with its weight, and an open API.
fn over(instances: &[(SocketAddr, u32)], limits: &str) -> Gateway {
    Config::new()
        .instance(ONE_WORKER)
        .table("limits", limits)
        .weighted_vpc_access("backend", instances, "")
        .group("g", &["*"], "")
        .published(&Api::open("all", "/*"))
        .start()
}

fn answer_ok(peer: &mut Peer) -> std::io::Result<()> {
    while peer.request()?.is_some() {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
    }
    Ok(())
}

#[test]
fn an_instance_that_stands_aside_gets_no_call_until_its_time_is_over() {
    for (stand_aside_ms, comes_back) in [(3_600_000, false), (100, true)] {
        let away = reserve();
        let steady = Backend::ok();
        let gateway = over(&[(away.address, 100), (steady.address, 100)], &format!("stand_aside_ms = {stand_aside_ms}"));
        // Equals take turns: one of two calls finds the instance that refuses, and goes to the other all the same.
        for _ in 0..2 {
            gateway.get("/").assert_passed();
        }
        let back = Backend::scripted_at(away.address, answer_ok);
        if comes_back {
            eventually("the instance is called again", || {
                gateway.get("/").assert_passed();
                (back.count() > 0).then_some(())
            });
        } else {
            for _ in 0..20 {
                gateway.get("/").assert_passed();
            }
            assert_eq!((back.connections(), steady.count()), (0, 22));
        }
    }
}

#[test]
fn weights_set_the_shares_of_calls_in_flight() {
    let silent = || {
        Backend::scripted(|peer| {
            peer.request()?;
            peer.wait_for_close()
        })
    };
    let (light, heavy) = (silent(), silent());
    let gateway = over(&[(light.address, 100), (heavy.address, 300)], "");
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let mut client = gateway.client();
            client.send(Request::get("/").bytes());
            client
        })
        .collect();
    eventually("all calls arrive", || (light.count() + heavy.count() == 40).then_some(()));
    assert_eq!((light.count(), heavy.count()), (10, 30));
    drop(clients);
}

#[test]
fn idle_connections_are_bounded_and_the_last_used_is_used_first() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let served = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&served);
    let backend = Backend::scripted(move |peer| {
        while let Some(request) = peer.request()? {
            noted.lock().expect("no other script panicked").push(peer.index);
            if request.target() == "/held" {
                let _ = released.lock().expect("no other script panicked").recv();
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
        Ok(())
    });
    let gateway = over(&[(backend.address, 100)], "pool_idle_connections = 2\npool_idle_timeout_ms = 60000");
    let mut clients: Vec<_> = (0..5).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send(Request::get("/held").bytes());
    }
    eventually("five calls are under way", || (backend.count() == 5).then_some(()));
    for _ in 0..5 {
        release.send(()).expect("the backend waits");
    }
    for client in &mut clients {
        client.response("GET").assert_passed();
    }
    backend.wait_for_open_connections(2);
    for _ in 0..6 {
        gateway.get("/").assert_passed();
    }
    let served = served.lock().expect("no script panicked")[5..].to_vec();
    assert!(served.iter().all(|index| *index == served[0]), "one warm connection serves calls in turn: {served:?}");
    assert_eq!(backend.connections(), 5);
}

#[test]
fn instances_share_the_calls() {
    let backends = [Backend::ok(), Backend::ok()];
    let gateway = Config::new()
        .instance(ONE_WORKER)
        .vpc_access_of("backend", &backends.each_ref().map(|b| b.address), "")
        .group("g", &["*"], "")
        .published(&Api::open("all", "/*"))
        .start();
    for _ in 0..40 {
        gateway.get("/").assert_passed();
    }
    for backend in &backends {
        assert!(backend.count() >= 10, "{} of 40 calls", backend.count());
    }
}

#[test]
fn the_less_busy_instance_is_chosen() {
    let busy = Backend::scripted(|peer| {
        peer.request()?;
        peer.wait_for_close()
    });
    let free = Backend::ok();
    let gateway = Config::new()
        .instance(ONE_WORKER)
        .vpc_access_of("backend", &[busy.address, free.address], "")
        .group("g", &["*"], "")
        .published(&Api::open("all", "/*"))
        .start();
    // Calls until one of them hangs at the busy instance; from then on all others find the free one.
    let mut hanging = Vec::new();
    while busy.count() == 0 {
        let mut client = gateway.client();
        client.send(Request::get("/").bytes());
        hanging.push(client);
        eventually("the call arrives", || (busy.count() + free.count() == hanging.len()).then_some(()));
    }
    let before = free.count();
    for _ in 0..20 {
        gateway.get("/").assert_passed();
    }
    assert_eq!((free.count(), busy.count()), (before + 20, 1));
}

#[test]
fn a_silent_backend_is_d504to() {
    let backend = Backend::scripted(|peer| {
        peer.request()?;
        peer.wait_for_close()
    });
    let gateway = Config::with_backend(backend.address).published(&Api::open("all", "/*").timeout_ms(300)).start();
    let mut client = gateway.client();
    client.call(&Request::get("/")).assert_refused("D504TO");
    backend.wait_for_open_connections(0);
    client.call(&Request::get("/")).assert_refused("D504TO");
}

#[test]
fn a_connection_that_cannot_be_made_in_time_is_d504co() {
    // A listener whose queue is full: connections to it hang.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    let mut queued = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(50)) {
        stream.set_nonblocking(true).expect("a socket option");
        queued.push(stream);
        assert!(queued.len() < 10_000, "the queue of this listener does not fill");
    }
    let gateway = Config::open(address).table("limits", "connect_timeout_ms = 200").start();
    let answer = gateway.get("/");
    answer.assert_refused("D504CO");
    assert!(answer.error_message().to_ascii_lowercase().contains("timeout"), "{}", answer.error_message());
}

#[test]
fn an_answer_that_is_no_http_is_n502re() {
    static SENT: AtomicUsize = AtomicUsize::new(0);
    const BAD: [&str; 4] = [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
    ];
    let backend = Backend::answering(|_| BAD[SENT.fetch_add(1, Ordering::SeqCst) % BAD.len()].into());
    let gateway = Config::open(backend.address).instance(ONE_WORKER).start();
    for bad in BAD {
        let answer = gateway.get("/");
        assert_eq!((answer.code(), answer.status()), ("N502RE", 502), "{bad:?}");
    }
    assert_eq!(backend.connections(), BAD.len(), "none of these connections is used again");
}

#[test]
fn interim_answers_are_not_the_answer() {
    let backend = Backend::answering(|_| {
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()
    });
    let gateway = Config::open(backend.address).instance(ONE_WORKER).start();
    for _ in 0..3 {
        let mut client = gateway.client();
        client.send(Request::get("/").bytes());
        let mut answer = client.response("GET");
        while answer.status() < 200 {
            answer = client.response("GET");
        }
        answer.assert_passed();
        assert_eq!(answer.text(), "ok");
    }
}
