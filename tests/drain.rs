//! The end of the process: what is under way is finished, nothing new is taken, and the exit code says how it went.

use lockgate_test_support::{Backend, Client, Config, Request, eventually};

#[test]
fn a_call_under_way_is_finished() {
    for signal in ["TERM", "INT"] {
        let (backend, release) = Backend::held();
        let mut gateway = Config::open(backend.address).start();
        let mut client = gateway.client();
        client.send(Request::get("/").bytes());
        backend.next();
        gateway.signal(signal);
        eventually("the listener closes", || Client::try_connect(gateway.address).is_err().then_some(()));
        assert!(gateway.is_running(), "the call is still under way");
        release.send(()).expect("the backend waits");
        let answer = client.response("GET");
        answer.assert_passed();
        assert_eq!(answer.text(), "ok");
        client.assert_closed();
        assert_eq!(gateway.wait().code(), Some(0), "{signal}");
    }
}

#[test]
fn idle_connections_do_not_hold_the_process() {
    let backend = Backend::ok();
    let mut gateway = Config::open(backend.address).start();
    let mut idle = gateway.client();
    idle.call(&Request::get("/")).assert_passed();
    let mut silent = gateway.client();
    gateway.signal("TERM");
    idle.assert_closed();
    silent.assert_closed();
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn the_drain_has_an_end() {
    let (backend, _release) = Backend::held();
    let mut gateway = Config::open(backend.address).table("limits", "drain_timeout_ms = 300").start();
    let mut client = gateway.client();
    client.send(Request::get("/").bytes());
    backend.next();
    gateway.signal("TERM");
    gateway.wait();
}

#[test]
fn a_fault_in_the_documents_is_exit_code_78() {
    let backend = Backend::ok();
    let config = Config::open(backend.address);
    config.write("vpc-access/backend.toml", "name = \"backend\"\nvpc_id = 7\n");
    let (code, errors) = config.start_and_fail();
    assert_eq!(code, Some(78), "{errors}");
    assert!(errors.contains("vpc-access/backend.toml:2:10"), "{errors}");
}

#[test]
fn an_address_in_use_is_named() {
    let backend = Backend::ok();
    let config = Config::open(backend.address);
    let _taken = std::net::TcpListener::bind(config.address()).expect("the port is reserved for this test");
    let address = config.address().to_string();
    let (code, errors) = config.start_and_fail();
    assert_ne!(code, Some(0), "{errors}");
    assert!(errors.contains(&address), "{errors}");
}
