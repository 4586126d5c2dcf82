//! All workers of the process: started together, stopped together.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use super::Provision;
use super::handover::{Generation, Handover, Swap};
use super::watchman::Watchman;
use crate::catalog::{AccessLog, Catalog, Cluster, Driver};
use crate::cluster::{self, Engine};
use crate::gate::policy::used::InForce;
use crate::gate::quota::allowance::Standing;
use crate::gate::{ErrorCode, Shared};
use crate::net::bell::{Ringer, bell};
use crate::net::{Admission, clock, listen, runtime};
use crate::observe::access_log::{Destination, Lines, Reopen, Sink, Writer};
use crate::observe::counters::{Counters, Names};
use crate::observe::event::Event;
use crate::observe::status::{Phase, Status};
use crate::state::{State, StateError};
use crate::sys;
use crate::upstream::board::Board;

/// Descriptors that a process needs beside those of its connections.
const DESCRIPTORS_ASIDE: u64 = 256;

/// The number of the generation that a process starts with.
const FIRST_LOAD: u64 = 1;

/// How long a drain that has come to its end still waits for the access log to be written.
const LOG_GRACE: Duration = Duration::from_secs(1);

/// How often the gateway looks after itself while it delays its drain.
const DELAY_STEP: Duration = Duration::from_millis(100);

/// How often it is looked whether the engine of the cluster has answered.
const JOIN_STEP: Duration = Duration::from_millis(5);

pub struct Fleet {
    workers: Vec<JoinHandle<()>>,
    /// Workers that wait to be told to begin.
    begins: Vec<Sender<()>>,
    counters: Vec<Arc<Counters>>,
    state: State,
    shared: Arc<Shared>,
    board: Arc<Board>,
    watchman: Watchman,
    engine: Option<Engine>,
    swap: Option<Swap>,
    handover: Arc<Handover>,
    pub status: Arc<Status>,
    stop: Arc<AtomicBool>,
    log: Option<Writer>,
    /// Handed over, and not written by the time the process ended.
    log_lines_lost: u64,
    drain_delay: Duration,
    drain_timeout: Duration,
    pub driver: Driver,
}

/// Why the gateway does not start.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Listen(SocketAddr, io::Error),
    AccessLog(io::Error),
    /// The driver that the instance asks for cannot be had.
    Driver(String),
    State(StateError),
    Worker(io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen(address, error) => {
                write!(f, "cannot listen on {address}: {error}")?;
                match error.kind() {
                    io::ErrorKind::AddrInUse => {
                        write!(f, "\n  help: another process has it: `ss -ltnp 'sport = :{}'`", address.port())
                    }
                    io::ErrorKind::PermissionDenied => f.write_str(
                        "\n  help: ports below 1024 need CAP_NET_BIND_SERVICE, or `sysctl net.ipv4.ip_unprivileged_port_start`",
                    ),
                    io::ErrorKind::AddrNotAvailable => f.write_str("\n  help: this machine has no such address: `ip address`"),
                    _ => Ok(()),
                }
            }
            Self::AccessLog(error) => write!(f, "cannot open the access log: {error}"),
            Self::Driver(trouble) => {
                write!(f, "{trouble}\n  help: or set `driver = \"auto\"` in [instance] to fall back to epoll")
            }
            Self::State(error) => error.fmt(f),
            Self::Worker(error) => write!(f, "a worker cannot start: {error}"),
        }
    }
}

impl Fleet {
    /// Binds all addresses, then starts all workers; returns when every one of them is ready to serve. Clients that connect
    /// wait until [`Fleet::open`].
    pub fn start(catalog: Arc<Catalog>) -> Result<Self, StartError> {
        let (driver, warning) = choose_driver(catalog.instance.driver).map_err(StartError::Driver)?;
        if let Some(warning) = warning {
            Event::Notice { text: &warning }.tell();
        }
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        let allowed = std::thread::available_parallelism().map_or(1, usize::from);
        let count = catalog.instance.workers.map_or(allowed, usize::from);
        let descriptors = sys::raise_descriptor_limit();
        warn_of_few_descriptors(descriptors, &catalog, count);

        let mut sockets: Vec<Vec<_>> = Vec::new();
        for _ in 0..count {
            sockets.push(bind_all(&catalog)?);
        }
        let log = open_log(&catalog.access_log).map_err(StartError::AccessLog)?;
        let state = State::open(&catalog, clock::unix_ms()).map_err(StartError::State)?;
        state.notices.iter().for_each(|notice| Event::Notice { text: notice }.tell());
        let shared = Arc::new(shared(&state, &catalog));
        tend(&state, &shared);
        let board = Arc::new(Board::new(count));
        let admission = Admission::new(descriptors);
        let stop = Arc::new(AtomicBool::new(false));
        let status = Arc::new(Status::new(count, clock::unix_ms()));
        let generation = Generation::build(None, FIRST_LOAD, catalog.clone(), &shared, &board);
        let (ringers, bells): (Vec<_>, Vec<_>) =
            (0..count).map(|_| bell()).collect::<io::Result<Vec<_>>>().map_err(StartError::Worker)?.into_iter().unzip();
        let ringers: Arc<[_]> = ringers.into();
        let handover = Arc::new(Handover::new(&generation, ringers.clone(), status.clone()));
        let engine = catalog.cluster.as_ref().map(|cluster| join(cluster, &catalog, &shared, ringers)).transpose();
        let engine = engine.map_err(StartError::Worker)?;
        let (ready, is_ready) = channel();
        let mut fleet = Self {
            workers: Vec::new(),
            begins: Vec::new(),
            counters: Vec::new(),
            state,
            shared: shared.clone(),
            board: board.clone(),
            watchman: Watchman::default(),
            engine: engine.clone(),
            swap: Some(Swap::new(handover.clone(), shared.clone(), board.clone(), generation.clone())),
            handover: handover.clone(),
            status: status.clone(),
            stop: stop.clone(),
            log,
            log_lines_lost: 0,
            drain_delay: catalog.limits.drain_delay,
            drain_timeout: catalog.limits.drain_timeout,
            driver,
        };
        let names = Names { apis: catalog.limits.metrics_apis, vpc_accesses: catalog.limits.metrics_vpc_accesses };
        for (n, (listeners, bell)) in sockets.into_iter().zip(bells).enumerate() {
            let counters = Arc::new(Counters::new(ErrorCode::NAMES, names, catalog.admin.is_some()));
            let (begin, begins) = channel();
            fleet.begins.push(begin);
            let provision = Provision {
                number: n,
                generation: generation.clone(),
                handover: handover.clone(),
                bell,
                shared: shared.clone(),
                admission: admission.clone(),
                engine: engine.clone(),
                listeners: listeners.into_iter().zip(&catalog.listeners).map(|(socket, l)| (socket, *l)).collect(),
                log: fleet.log.as_ref().map_or_else(|| Sink::none(counters.clone()), |log| log.sink(counters.clone())),
                counters: counters.clone(),
                driver,
                stop: stop.clone(),
                ready: ready.clone(),
                begin: begins,
            };
            let core = cores.get(n % cores.len().max(1)).copied();
            let thread = std::thread::Builder::new().name(format!("worker-{n}")).spawn(move || {
                core.map(core_affinity::set_for_current);
                super::run(provision);
            });
            fleet.workers.push(thread.map_err(StartError::Worker)?);
            fleet.counters.push(counters);
        }
        for _ in 0..count {
            is_ready.recv().unwrap_or_else(|e| Err(io::Error::other(e))).map_err(StartError::Worker)?;
        }
        Ok(fleet)
    }

    /// Lets clients in.
    pub fn open(&mut self) {
        self.begins.drain(..).for_each(|begin| _ = begin.send(()));
        self.status.enter(Phase::Serving);
    }

    /// What puts further generations in force; given out once.
    pub fn swap(&mut self) -> Option<Swap> {
        self.swap.take()
    }

    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// A sum over all workers.
    pub fn count(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.counters.iter().map(|counters| of(counters)).sum()
    }

    /// Of each worker, in their order.
    pub fn counters(&self) -> Vec<Arc<Counters>> {
        self.counters.clone()
    }

    /// What the workers know together of the backends.
    pub fn board(&self) -> Arc<Board> {
        self.board.clone()
    }

    /// Of the cluster, if there is one.
    pub fn engine(&self) -> Option<Engine> {
        self.engine.clone()
    }

    /// Counters and sets that the workers share.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// What calls are counted by, asked at any time.
    pub fn policies(&self) -> Box<dyn Fn() -> InForce + Send + Sync> {
        let handover = self.handover.clone();
        Box::new(move || handover.policies())
    }

    /// What has become of the access log's lines; `None`: there is no log.
    pub fn log_lines(&self) -> Option<Arc<Lines>> {
        self.log.as_ref().map(Writer::lines)
    }

    /// Asks the log's writer to open its file anew.
    pub fn reopen_log(&self) -> Option<Reopen> {
        self.log.as_ref().map(Writer::reopen)
    }

    /// What is done about once a second, off the workers.
    pub fn tend(&mut self) {
        tend(&self.state, &self.shared);
        self.watchman.look(&self.board, &self.counters);
    }

    /// No worker was stuck when the fleet was last tended.
    pub fn all_is_well(&self) -> bool {
        self.watchman.all_is_well()
    }

    pub fn drain_delay(&self) -> Duration {
        self.drain_delay
    }

    /// Tells all workers to finish what they have and end.
    pub fn stop(&self) {
        self.status.enter(Phase::Draining);
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether every worker has ended.
    pub fn has_ended(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }

    /// Says that no more connections are wanted, goes on for the drain delay, and waits for all workers to end; false
    /// when the drain timeout, or `hurry`, came first. `hurry` waits that long for an order to end at once.
    pub fn drain(&mut self, mut hurry: impl FnMut(Duration) -> bool) -> bool {
        self.status.enter(Phase::Draining);
        let delayed = SystemTime::now() + self.drain_delay;
        let mut hurried = false;
        while let Ok(remaining) = delayed.duration_since(SystemTime::now())
            && !remaining.is_zero()
            && !hurried
        {
            self.tend();
            hurried = hurry(remaining.min(DELAY_STEP));
        }
        self.stop();
        let deadline = SystemTime::now() + self.drain_timeout;
        let ended = loop {
            if self.has_ended() {
                break true;
            }
            if hurried || SystemTime::now() >= deadline || hurry(Duration::from_millis(10)) {
                break false;
            }
        };
        self.engine.iter().for_each(Engine::leave);
        if let Some(log) = self.log.take() {
            let deadline = deadline.max(SystemTime::now() + LOG_GRACE);
            self.log_lines_lost = log.finish(|| hurry(Duration::from_millis(1)) || SystemTime::now() >= deadline);
        }
        ended
    }

    /// Lines that the access log does not have.
    pub fn log_lines_dropped(&self) -> u64 {
        self.count(|counters| counters.log_lines_dropped.get()) + self.log_lines_lost
    }
}

/// What is counted: by this gateway alone, or by one of a cluster.
fn shared(state: &State, catalog: &Catalog) -> Shared {
    let (nonces, quotas) = (state.nonces(clock::unix_ms()), state.quotas());
    match &catalog.cluster {
        Some(cluster) => {
            let (key, standing) = (cluster.key.0, Standing::new(cluster.nodes.unwrap_or(0)));
            Shared { nonces: nonces.of_node(key), quotas: quotas.of_node(key, Arc::new(standing)) }
        }
        None => Shared { nonces, quotas },
    }
}

/// Starts to speak to the engine, and gives it a moment: whoever is let in before it has answered is treated as if it could
/// not be reached.
fn join(cluster: &Arc<Cluster>, catalog: &Catalog, shared: &Arc<Shared>, ringers: Arc<[Ringer]>) -> io::Result<Engine> {
    let engine = cluster::start(cluster, shared, ringers, 2 * catalog.security.signature_window_ms)?;
    let deadline = SystemTime::now() + cluster.connect_timeout + cluster::SETTLE + cluster.wait;
    while shared.quotas.standing().is_some_and(|standing| standing.is_lost()) && SystemTime::now() < deadline {
        std::thread::sleep(JOIN_STEP);
    }
    Ok(engine)
}

/// One process looks after what all of them share.
fn tend(state: &State, shared: &Shared) {
    if state.tends() {
        shared.tend(clock::unix_ms());
        state.bury_the_dead(&shared.quotas);
    }
}

/// Which driver to run, by setting and machine; the text is a warning to show.
fn choose_driver(wanted: Driver) -> Result<(Driver, Option<String>), String> {
    if wanted == Driver::Epoll {
        return Ok((Driver::Epoll, None));
    }
    match runtime::io_uring_trouble() {
        None => Ok((Driver::IoUring, None)),
        Some(trouble) if wanted == Driver::IoUring => Err(trouble),
        Some(trouble) => Ok((Driver::Epoll, Some(format!("{trouble}; running on epoll, slower")))),
    }
}

fn bind_all(catalog: &Catalog) -> Result<Vec<TcpListener>, StartError> {
    catalog.listeners.iter().map(|l| listen::bind(l.address).map_err(|e| StartError::Listen(l.address, e))).collect()
}

fn open_log(destination: &AccessLog) -> io::Result<Option<Writer>> {
    let destination = match destination {
        AccessLog::Off => return Ok(None),
        AccessLog::Stdout => Destination::Stdout,
        AccessLog::File(path) => Destination::File(path.clone()),
    };
    Writer::start(destination).map(Some)
}

/// Each client connection may need a second descriptor for its backend.
fn warn_of_few_descriptors(allowed: u64, catalog: &Catalog, workers: usize) {
    let connections = (catalog.limits.connections_per_worker * workers).min(catalog.limits.connections);
    let wanted = connections as u64 * 2 + DESCRIPTORS_ASIDE;
    if allowed < wanted {
        Event::FewDescriptors { allowed, wanted }.tell();
    }
}
