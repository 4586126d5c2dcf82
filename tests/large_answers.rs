//! Answers so large that the kernel moves them through pipes: every byte arrives, once and in its place, whatever becomes of
//! either side; nobody gets another's, and no pipe is left behind.

use std::io::{Read, Write};
use std::process::Command;
use std::sync::{Mutex, mpsc};
use std::thread;

use lockgate_test_support::{Api, Backend, Client, Config, Gateway, Request, eventually};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const DRIVERS: [&str; 2] = ["io_uring", "epoll"];

/// A body that no other is alike, made of pieces that no buffer is as long as.
fn body(len: usize) -> Vec<u8> {
    let piece: Vec<u8> = (0..65_521).map(|i| (i ^ (i >> 8) ^ len) as u8).collect();
    let mut body = piece.repeat(len / piece.len() + 1);
    body.truncate(len);
    body
}

/// The number in the last segment of a path.
fn asked(target: &str) -> usize {
    target.rsplit('/').next().and_then(|n| n.parse().ok()).expect("a length")
}

/// Answers `/len/N` with N bytes, `/cut/N` with all but the last of them, `/reset/N` so, and with a reset, `/stall/N` with half
/// of them, and `/more/N` with bytes behind them that nobody asked for.
fn backend() -> Backend {
    Backend::scripted(|peer| {
        while let Some(request) = peer.request()? {
            let len = asked(request.target());
            let body = body(len);
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n"))?;
            match request.target().split('/').nth(1) {
                Some("cut") => {
                    peer.send(&body[..len - 1])?;
                    return peer.close();
                }
                Some("reset") => {
                    peer.send(&body[..len - 1])?;
                    let socket = socket2::SockRef::from(&peer.stream);
                    return socket.set_linger(Some(std::time::Duration::ZERO));
                }
                Some("stall") => {
                    peer.send(&body[..len / 2])?;
                    return peer.wait_for_close();
                }
                Some("more") => {
                    peer.send(&body)?;
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen")?;
                }
                _ => peer.send(&body)?,
            }
        }
        Ok(())
    })
}

/// Its idle connections to backends end soon, so that all descriptors come back.
const FORGETFUL: &str = "pool_idle_timeout_ms = 1000";

fn config(backend: &Backend, driver: &str, limits: &str) -> Config {
    Config::with_backend(backend.address)
        .access_log()
        .admin()
        .table("limits", limits)
        .instance(&format!("workers = 1\ndriver = {driver:?}"))
        .published(&Api::open("open", "/*"))
}

fn get(kind: &str, len: usize) -> Request {
    Request::get(&format!("/{kind}/{len}"))
}

#[track_caller]
fn arrives(client: &mut Client, len: usize) {
    let answer = client.call(&get("len", len));
    answer.assert_passed();
    assert!(answer.body == body(len), "{} bytes of {len}, or others", answer.body.len());
}

/// An answer that is begun, of whose body nothing is read: it holds a pipe.
fn begin(gateway: &Gateway, len: usize) -> Client {
    let before = gateway.pipe_ends();
    let mut client = gateway.client();
    client.send(get("len", len).bytes());
    eventually("a pipe is filled", || (gateway.pipe_ends() > before).then_some(()));
    client
}

#[test]
fn every_byte_arrives_at_all_sizes() {
    for driver in DRIVERS {
        let backend = backend();
        let gateway = config(&backend, driver, "pool_idle_timeout_ms = 600000").start();
        let mut client = gateway.client();
        let around = |len: usize| [len - 1, len, len + 1];
        let lens: Vec<usize> = [18 * KIB, 64 * KIB, 82 * KIB, 128 * KIB, 192 * KIB, MIB, 10 * MIB].map(around).concat();
        for len in &lens {
            arrives(&mut client, *len);
        }
        assert_eq!(backend.connections(), 1, "the backend's connection is used again, {driver}");
        let heads: Vec<u64> = gateway
            .access_log(lens.len())
            .iter()
            .zip(&lens)
            .map(|(line, len)| line["responseSize"].as_u64().expect("a number") - *len as u64)
            .collect();
        // The head says the length, and is otherwise the same.
        assert!(heads.iter().all(|head| head.abs_diff(heads[0]) <= 3), "{heads:?}");
    }
}

#[test]
fn a_slow_reader_gets_all_of_it_while_others_are_served() {
    for driver in DRIVERS {
        let backend = backend();
        let gateway = config(&backend, driver, &format!("{FORGETFUL}\nsend_timeout_ms = 600000")).start();
        let base = gateway.base();
        let before = gateway.pipe_ends();
        let mut slow: Vec<Client> = (0..4).map(|n| begin(&gateway, 16 * MIB + n)).collect();
        assert_eq!(gateway.pipe_ends(), before + 8, "each holds its own");
        arrives(&mut gateway.client(), MIB);
        for (n, client) in slow.iter_mut().enumerate() {
            let answer = client.response("GET");
            assert!(answer.body == body(16 * MIB + n), "{driver}");
        }
        drop(slow);
        drop(backend);
        gateway.returns_to(&base);
    }
}

#[test]
fn a_client_that_vanishes_leaves_nothing_to_the_next() {
    for driver in DRIVERS {
        let backend = backend();
        let gateway = config(&backend, driver, FORGETFUL).start();
        let base = gateway.base();
        for round in 0..8 {
            let mut client = gateway.client();
            client.send(get("len", 32 * MIB).bytes());
            client.stream.read_exact(&mut vec![0; 200 * KIB + round]).expect("some of it");
            drop(client);
            arrives(&mut gateway.client(), 3 * MIB + round);
        }
        let lines = gateway.access_log(16);
        let gone: Vec<_> = lines.iter().filter(|line| line["ended"] == "client-gone").collect();
        assert_eq!(gone.len(), 8, "{driver}");
        assert!(gone.iter().all(|line| line["responseSize"].as_u64() < Some(32 * MIB as u64)));
        drop(backend);
        gateway.returns_to(&base);
    }
}

#[test]
fn an_answer_that_breaks_off_is_never_whole() {
    for driver in DRIVERS {
        let backend = backend();
        let gateway = config(&backend, driver, FORGETFUL).start();
        let base = gateway.base();
        for kind in ["cut", "reset", "cut", "reset"] {
            let mut client = gateway.client();
            client.send(get(kind, 4 * MIB).bytes());
            let mut received = Vec::new();
            // The end, or a reset.
            let _ = client.stream.read_to_end(&mut received);
            let head = received.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
            let content = &received[head..];
            assert!(content.len() < 4 * MIB, "{kind} {driver}");
            assert!(body(4 * MIB).starts_with(content), "{kind} {driver}");
            arrives(&mut gateway.client(), MIB);
        }
        let broken = gateway.access_log(8).iter().filter(|line| line["ended"] == "backend-broke").count();
        assert_eq!(broken, 4, "{driver}");
        drop(backend);
        gateway.returns_to(&base);
    }
}

#[test]
fn what_follows_an_answer_is_nobodys() {
    for driver in DRIVERS {
        let backend = backend();
        let gateway = config(&backend, driver, FORGETFUL).start();
        let mut client = gateway.client();
        for len in [MIB, 64 * KIB, 3 * MIB] {
            assert!(client.call(&get("more", len)).body == body(len), "{driver}");
            // What nobody asked for may still be on its way: it is there when the next answer would be.
            eventually("it has come", || (!client.call(&get("len", 2)).text().is_empty()).then_some(()));
            assert_eq!(client.call(&get("len", 2)).body, body(2), "{driver}");
        }
    }
}

#[test]
fn deadlines_end_both_sides() {
    for driver in DRIVERS {
        for (limit, kind, ended) in
            [("answer_timeout_ms", "stall", "backend-timeout"), ("send_timeout_ms", "len", "client-timeout")]
        {
            let backend = backend();
            let gateway = config(&backend, driver, &format!("{FORGETFUL}\n{limit} = 300")).start();
            let base = gateway.base();
            let mut client = gateway.client();
            client.send(get(kind, 32 * MIB).bytes());
            let mut received = Vec::new();
            if kind == "stall" {
                let _ = client.stream.read_to_end(&mut received);
                assert!((16 * MIB..32 * MIB).contains(&received.len()), "{driver}");
            }
            assert_eq!(gateway.access_log(1)[0]["ended"], ended, "{driver}");
            drop((client, backend));
            gateway.returns_to(&base);
        }
    }
}

#[test]
fn many_at_once_get_their_own() {
    for driver in DRIVERS {
        let backend = backend();
        let gateway = config(&backend, driver, FORGETFUL).start();
        let base = gateway.base();
        thread::scope(|scope| {
            for n in 0..24 {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut client = gateway.client();
                    for round in 0..4 {
                        arrives(&mut client, (64 + 37 * n) * KIB + round);
                    }
                });
            }
        });
        drop(backend);
        gateway.returns_to(&base);
    }
}

#[test]
fn without_a_pipe_it_is_copied() {
    for driver in DRIVERS {
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let backend = Backend::scripted(move |peer| {
            while let Some(request) = peer.request()? {
                let _ = released.lock().expect("no script panicked").recv();
                let body = body(asked(request.target()));
                peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()))?;
                peer.send(&body)?;
            }
            Ok(())
        });
        let mut prlimit = Command::new("prlimit");
        prlimit.arg("--nofile=64:64");
        let gateway = config(&backend, driver, FORGETFUL).through(&prlimit).start();
        gateway.wait_for_output(" workers on ");
        let before = gateway.pipe_ends();
        let begun = |len| {
            let mut client = gateway.client();
            let _ = client.stream.write_all(&get("len", len).bytes());
            client
        };
        let mut client = begun(8 * MIB);
        eventually("its backend is called", || (backend.count() == 1).then_some(()));
        // The last eighth is for others than pipes.
        let mut busy = Vec::new();
        eventually("no descriptor is left for a pipe", || {
            busy.push(begun(1));
            (gateway.descriptors() >= 56).then_some(())
        });
        release.send(()).expect("the backend waits");
        let answer = client.response("GET");
        assert!(answer.body == body(8 * MIB), "{driver}");
        assert_eq!(gateway.pipe_ends(), before, "{driver}");
        drop(release);
    }
}
