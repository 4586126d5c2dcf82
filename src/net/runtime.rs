//! The event loop of a worker's thread: a ring of its own, or epoll where the machine forbids io_uring.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::time::Duration;

use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

use super::stream::Stream;

/// Entries of a worker's submission queue; completions get four times as many.
const RING_ENTRIES: u32 = 4096;
/// Where the kernel finds no room for so large a ring, as on a machine whose memory is in pieces: a smaller one does the
/// same in more turns.
const FEWEST_RING_ENTRIES: u32 = 256;

/// A pause through the timers, so that a worker looks at all its sockets and at its sweeper.
pub(super) const PAUSE: Duration = Duration::from_millis(1);

thread_local! {
    static ON_RING: Cell<bool> = const { Cell::new(true) };
}

/// Why the machine has no io_uring for us, and what to change: `None` when it has.
pub fn io_uring_trouble() -> Option<String> {
    let error = match ring().build(8) {
        Ok(_) => return None,
        Err(error) => error,
    };
    let advice = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "allow it: `sysctl kernel.io_uring_disabled=0` (or 1 with CAP_SYS_ADMIN or the group of \
             kernel.io_uring_group), and in a container a seccomp profile that permits io_uring_setup, \
             io_uring_enter and io_uring_register"
        }
        Some(libc::ENOSYS) => "the kernel has none: Linux 5.19 or later is needed, with CONFIG_IO_URING",
        Some(libc::ENOMEM) => "raise the limit of locked memory: `ulimit -l`, or LimitMEMLOCK= of the service",
        Some(libc::EINVAL) => "the kernel is too old for its flags: Linux 6.0 or later is needed",
        _ => "see io_uring_setup(2)",
    };
    Some(format!("io_uring cannot be used: {error}; {advice}"))
}

/// Runs a worker's future on this thread: on a ring, or on epoll.
pub fn run<F: Future + 'static>(ring_wanted: bool, future: F) -> io::Result<F::Output> {
    if !ring_wanted {
        ON_RING.set(false);
        let runtime = RuntimeBuilder::<TimeDriver<LegacyDriver>>::new().build()?;
        return Ok(to_the_end(runtime, future));
    }
    let mut entries = RING_ENTRIES;
    let runtime = loop {
        match ring_of(entries).build() {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && entries > FEWEST_RING_ENTRIES => entries /= 2,
            outcome => break outcome?,
        }
    };
    Ok(to_the_end(runtime, future))
}

fn ring_of(entries: u32) -> RuntimeBuilder<TimeDriver<IoUringDriver>> {
    let mut builder = ring();
    builder.setup_cqsize(entries * 4);
    RuntimeBuilder::<TimeDriver<IoUringDriver>>::new().uring_builder(builder).with_entries(entries)
}

/// A runtime that is dropped frees buffers the kernel may still write to; the process ends soon after, so it is kept.
fn to_the_end<D: monoio::Driver, F: Future + 'static>(runtime: monoio::Runtime<D>, future: F) -> F::Output {
    let mut runtime = std::mem::ManuallyDrop::new(runtime);
    runtime.block_on(future)
}

/// Completions are handled when the thread enters the kernel anyway, and only this thread submits: a quarter of the
/// processor time per request against a ring without these flags.
fn ring() -> io_uring::Builder {
    let mut builder = io_uring::IoUring::builder();
    builder.setup_coop_taskrun().setup_single_issuer();
    builder
}

/// Lets time pass.
pub async fn pause(time: Duration) {
    monoio::time::sleep(time).await;
}

/// Whether this thread's driver is a ring.
pub(super) fn on_ring() -> bool {
    ON_RING.get()
}

/// Makes a socket that was connected by hand fit the driver: a ring waits for us only on blocking sockets.
pub fn adopt(stream: &Stream) -> io::Result<()> {
    stream.set_nonblocking(!on_ring())
}
