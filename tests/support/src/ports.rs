//! Free ports on 127.0.0.1, one test's own until it ends.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which the kernel takes ports of outgoing connections.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port that no other test takes while this value lives. Workers listen with `SO_REUSEPORT`, so that two gateways on
/// one port would not notice each other: a lock file keeps them apart.
pub struct Port {
    pub address: SocketAddr,
    _lock: File,
}

pub fn reserve() -> Port {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let directory = std::env::temp_dir().join("lockgate-test-ports");
    std::fs::create_dir_all(&directory).expect("the temporary directory can be written");
    let start = (std::process::id() as u16).wrapping_mul(31);
    for _ in 0..COUNT {
        let port = FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let lock = File::create(directory.join(port.to_string())).expect("a lock file can be made");
        if lock.try_lock().is_err() {
            continue;
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Port { address, _lock: lock };
        }
    }
    panic!("no free port from {FIRST} on");
}
