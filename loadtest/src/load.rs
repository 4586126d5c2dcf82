//! The generator: N connections, each with one request under way, every answer checked. In a closed loop the next request of a
//! connection leaves when its answer has come; in an open one (`--rate`) requests come at their own times, and latency counts from
//! then, however long one had to wait for a connection.
//!
//! A run has two phases over the same connections: a warm-up that is not measured, and the measurement. Between them it
//! can stop and wait for a line on its standard input, so that whoever started it can read the proxy's counters while
//! nothing moves.

use std::cell::RefCell;
use std::io::BufRead;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::answer::{self, Expected, Fault};
use crate::arrivals::{Arrivals, Due};
use crate::mark::{Mark, Marks};
use crate::multiplex::{self, Multiplexed, Wanted};
use crate::payload::Pattern;
use crate::request::{App, Credential, Requests, Template};
use crate::transport::{Route, Transport};
use crate::{clock, ring};

/// Room for the head of an answer beside its body.
const ANSWER_HEAD_BYTES: usize = 8 * 1024;
/// Faults told in words; the rest are counted.
const FAULTS_TOLD: usize = 5;
/// Highest latency the histogram can hold: a minute, in nanoseconds, beyond any run's bound for one request.
const LATENCY_MAX_NS: u64 = 60_000_000_000;

/// How long a connection lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Lasting {
    /// It carries one request after the other.
    #[default]
    Kept,
    /// Each request has one of its own, with a whole handshake where there is TLS.
    New,
    /// Each request has one of its own, whose session was begun by the one before.
    Resumed,
}

#[derive(Args)]
pub struct Arguments {
    /// The proxy (or the backend itself)
    #[arg(long)]
    pub target: SocketAddr,
    #[arg(long, default_value = "/plain/128")]
    pub path: String,
    #[arg(long, default_value = "GET")]
    pub method: String,
    #[arg(long, default_value = "api.example.com")]
    pub host: String,
    #[arg(long, value_enum, default_value = "none")]
    pub credential: Credential,
    #[arg(long, default_value = "24601001")]
    pub app_key: String,
    #[arg(long, default_value = "")]
    pub app_secret: String,
    #[arg(long, default_value = "")]
    pub app_code: String,
    /// Bytes of each request's body
    #[arg(long, default_value_t = 0)]
    pub request_bytes: usize,
    /// Bytes that each answer's body must have
    #[arg(long, default_value_t = 128)]
    pub answer_bytes: usize,
    /// Every answer must be the gateway's own, a head alone, with this status and error code
    #[arg(long, value_name = "STATUS:CODE", value_parser = refusal, conflicts_with = "streams")]
    pub refusal: Option<Expected>,
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Addresses of the loopback that they come from, from 127.0.0.1 on, in turn
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    pub sources: u8,
    /// Over HTTP/2: requests under way on each connection
    #[arg(long, conflicts_with = "rate")]
    pub streams: Option<usize>,
    /// Measured requests, over all connections
    #[arg(long, default_value_t = 200_000)]
    pub requests: u64,
    /// Requests before the measurement
    #[arg(long, default_value_t = 20_000)]
    pub warm_up: u64,
    /// Longest time of either phase: later requests are not begun, and a run whose last answers still do not come fails
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Say "warm" after the warm-up and wait for a line on standard input
    #[arg(long)]
    pub wait_for_start: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// What becomes of a connection after its answer
    #[arg(long, value_enum, default_value = "kept")]
    pub connection: Lasting,
    /// Requests a second, in an open loop; without it the loop is closed
    #[arg(long)]
    pub rate: Option<f64>,
    /// How far apart requests of an open loop come
    #[arg(long, value_enum, default_value = "poisson", requires = "rate")]
    pub arrivals: Arrivals,
    /// Repeats the order of what is random of them
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Open the connections one after the other, each with a request, before the warm-up: so that memory is that of connections
    /// that wait, and not of a crowd
    #[arg(long)]
    pub one_by_one: bool,
    /// Over TLS 1.3: who has signed the certificate of the host, PEM
    #[arg(long)]
    pub authority: Option<PathBuf>,
    /// Congestion control of the connections; by default the system's
    #[arg(long)]
    pub congestion: Option<String>,
}

fn refusal(text: &str) -> Result<Expected, String> {
    let (status, code) = text.split_once(':').ok_or("a status, a colon and an error code")?;
    Ok(Expected::refusal(status.parse().map_err(|error| format!("{status}: {error}"))?, code))
}

/// What one run found. Latencies in microseconds, as the client saw them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub requests: u64,
    pub faults: u64,
    pub told: Vec<String>,
    pub seconds: f64,
    pub latency_us: Latency,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Outcome {
    pub fn requests_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.requests as f64 / self.seconds } else { 0.0 }
    }
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let outcome = ring::run(measure(arguments))??;
    if arguments.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        print_plainly(&outcome);
    }
    if outcome.faults > 0 {
        bail!("{} of the answers were wrong or missing", outcome.faults);
    }
    Ok(())
}

async fn measure(arguments: &Arguments) -> Result<Outcome> {
    let pattern = Rc::new(Pattern::new());
    let app = App { key: arguments.app_key.clone(), secret: arguments.app_secret.clone(), code: arguments.app_code.clone() };
    let body = pattern.body(arguments.request_bytes);
    let requests = Requests::new(&Template {
        method: &arguments.method,
        path: &arguments.path,
        host: &arguments.host,
        credential: arguments.credential,
        app: &app,
        body: &body,
        marked: true,
    })?;
    let short = arguments.connection != Lasting::Kept;
    let authority = arguments.authority.as_deref();
    let http2 = arguments.streams.is_some();
    let route = Route::new(arguments.target, &arguments.host, authority, arguments.congestion.clone(), short, http2)?;
    let route = if arguments.connection == Lasting::New { route.without_resumption() } else { route };
    if http2 {
        multiplex::check_body(body.len())?;
        if short || !requests.constant() {
            bail!("over HTTP/2, connections are kept, and requests not signed");
        }
    }
    let tally = Tally::new(arguments.warm_up)?;
    let wanted = Rc::new(Wanted { body, answer_bytes: arguments.answer_bytes, pattern: pattern.clone() });
    let expected = arguments.refusal.clone().unwrap_or_else(|| Expected::answer(arguments.answer_bytes));
    let run = Run {
        pattern,
        expected,
        lasting: arguments.connection,
        warm: false,
        due: None,
        requests,
        marks: Marks::default(),
        tally,
    };
    let run = Rc::new(RefCell::new(run));
    let mut connections = Vec::new();
    for nth in 0..arguments.connections {
        let mut connection = Carrier::open(arguments, &route.of_source(nth, arguments.sources), &run, &wanted).await?;
        if arguments.one_by_one {
            connection.call_once(&run).await.map_err(anyhow::Error::msg)?;
        }
        connections.push(connection);
    }
    let bound = Duration::from_secs(arguments.seconds);

    if !arguments.one_by_one {
        connections = phase(connections, &run, bound).await?;
    }
    if arguments.wait_for_start {
        println!("warm");
        // Every connection is idle: blocking the only thread is the point.
        std::io::stdin().lock().read_line(&mut String::new())?;
    }
    run.borrow_mut().warm = true;
    let warm_up = std::mem::replace(&mut run.borrow_mut().tally, Tally::new(arguments.requests)?);
    let start = clock::now();
    if warm_up.faults == 0 {
        run.borrow_mut().due = match arguments.rate {
            Some(rate) => Some(Due::begin(rate, arguments.arrivals, arguments.seed, bound)?),
            None => None,
        };
        connections = phase(connections, &run, bound).await?;
    }
    let seconds = start.elapsed().as_secs_f64();
    drop(connections);
    let run = run.borrow();
    let tally = if warm_up.faults == 0 { &run.tally } else { &warm_up };
    Ok(tally.outcome(seconds))
}

/// Spends the tally's budget over the connections, and gives back those that are still good. `bound` twice over, once
/// for beginning requests and once more for their answers, is the end of a run that hangs.
async fn phase(connections: Vec<Carrier>, run: &Rc<RefCell<Run>>, bound: Duration) -> Result<Vec<Carrier>> {
    let stop = clock::now() + bound;
    let tasks: Vec<_> = connections.into_iter().map(|c| monoio::spawn(drive(c, Rc::clone(run), stop))).collect();
    let all = async {
        let mut good = Vec::new();
        for task in tasks {
            good.extend(task.await);
        }
        good
    };
    match monoio::time::timeout(2 * bound, all).await {
        Ok(good) => Ok(good),
        Err(_) => bail!("answers did not come within {} s", 2 * bound.as_secs()),
    }
}

/// Requests until the budget or the time is spent. `None` after a fault.
async fn drive(mut carrier: Carrier, run: Rc<RefCell<Run>>, stop: Instant) -> Option<Carrier> {
    let result = match &mut carrier {
        Carrier::One(connection) => one_by_one(connection, &run, stop).await,
        Carrier::Many(connection) => {
            let take = || {
                let run = &mut *run.borrow_mut();
                (clock::now() < stop && run.tally.take()).then(|| run.marks.draw())
            };
            connection.run(take, |elapsed| run.borrow_mut().tally.good(elapsed)).await
        }
    };
    result.map_err(|fault| run.borrow_mut().tally.fault(&fault)).ok().map(|()| carrier)
}

async fn one_by_one(connection: &mut Connection, run: &Rc<RefCell<Run>>, stop: Instant) -> Result<(), String> {
    let due = run.borrow().due.clone();
    loop {
        let start = match &due {
            None => clock::now(),
            Some(due) => match due.next().await {
                Some(intended) => intended,
                None => return Ok(()),
            },
        };
        // What has come in time is still sent.
        if due.is_none() && start >= stop || !run.borrow_mut().tally.take() {
            return Ok(());
        }
        connection.exchange(run).await?;
        let elapsed = start.elapsed();
        run.borrow_mut().tally.good(elapsed);
    }
}

/// A connection with one request under way, or with many.
enum Carrier {
    One(Box<Connection>),
    Many(Box<Multiplexed>),
}

impl Carrier {
    async fn open(arguments: &Arguments, route: &Route, run: &RefCell<Run>, wanted: &Rc<Wanted>) -> Result<Self> {
        let Some(streams) = arguments.streams else { return Ok(Self::One(Box::new(Connection::open(arguments, route).await?))) };
        let mut request = Vec::new();
        run.borrow_mut().requests.write_next(&mut request);
        Ok(Self::Many(Box::new(Multiplexed::open(route, streams, &request, wanted).await?)))
    }

    async fn call_once(&mut self, run: &RefCell<Run>) -> Result<(), String> {
        let mut once = Some(run.borrow_mut().marks.draw());
        match self {
            Self::One(connection) => connection.exchange(run).await,
            Self::Many(connection) => connection.run(|| once.take(), |_| ()).await,
        }
    }
}

/// What all connections of a run share.
struct Run {
    pattern: Rc<Pattern>,
    expected: Expected,
    lasting: Lasting,
    /// The warm-up is over.
    warm: bool,
    /// Of an open loop: when requests come.
    due: Option<Due>,
    requests: Requests,
    marks: Marks,
    tally: Tally,
}

impl Run {
    /// The next request, in place of the one before, and its mark.
    fn write_next(&mut self, request: &mut Vec<u8>) -> Mark {
        if request.is_empty() || !self.requests.constant() {
            self.requests.write_next(request);
        }
        let mark = self.marks.draw();
        self.requests.set_mark(request, &mark);
        mark
    }
}

struct Connection {
    route: Route,
    transport: Transport,
    /// It has carried a request.
    used: bool,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(arguments: &Arguments, route: &Route) -> Result<Self> {
        let route = if arguments.connection == Lasting::Resumed { route.of_its_own() } else { route.clone() };
        let transport = Transport::open(&route).await?;
        let answer = Vec::with_capacity(ANSWER_HEAD_BYTES + arguments.answer_bytes);
        Ok(Self { route, transport, used: false, request: Vec::new(), answer })
    }

    /// Another one in its place.
    async fn renew(&mut self, run: &RefCell<Run>) -> Result<(), String> {
        self.transport = Transport::open(&self.route).await.map_err(|error| format!("connect: {error:#}"))?;
        let must_be_resumed = run.borrow().warm && run.borrow().lasting == Lasting::Resumed;
        if must_be_resumed && !self.transport.is_resumed() { Err("a session was not resumed".into()) } else { Ok(()) }
    }

    async fn exchange(&mut self, run: &RefCell<Run>) -> Result<(), String> {
        let lasting = run.borrow().lasting;
        if std::mem::replace(&mut self.used, true) && lasting != Lasting::Kept {
            self.renew(run).await?;
        }
        let mut request = std::mem::take(&mut self.request);
        let mark = run.borrow_mut().write_next(&mut request);
        let (result, request) = self.transport.send(request).await;
        self.request = request;
        result.map_err(|error| format!("send: {error}"))?;

        self.answer.clear();
        loop {
            let buffer = std::mem::take(&mut self.answer);
            let (start, end) = (buffer.len(), buffer.capacity());
            let (result, buffer) = self.transport.receive(buffer).await;
            self.answer = buffer;
            match result {
                Ok(0) if start == end => return Err("the answer's head is too large".into()),
                Ok(0) => return Err(format!("the connection was closed after {start} bytes of an answer")),
                Ok(_) => {}
                Err(error) => return Err(format!("receive: {error}")),
            }
            let run = run.borrow();
            if answer::check(&self.answer, &run.expected, Some(&mark), &run.pattern).map_err(|fault: Fault| fault.to_string())? {
                return Ok(());
            }
        }
    }
}

/// The budget of a phase, and what came of it.
struct Tally {
    left: u64,
    faults: u64,
    told: Vec<String>,
    latency_ns: Histogram<u64>,
}

impl Tally {
    fn new(budget: u64) -> Result<Self> {
        let latency_ns = Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3)?;
        Ok(Self { left: budget, faults: 0, told: Vec::new(), latency_ns })
    }

    fn take(&mut self) -> bool {
        let some = self.left > 0;
        self.left -= u64::from(some);
        some
    }

    fn good(&mut self, latency: Duration) {
        self.latency_ns.saturating_record(latency.as_nanos() as u64);
    }

    fn fault(&mut self, fault: &str) {
        self.faults += 1;
        if self.told.len() < FAULTS_TOLD && !self.told.iter().any(|told| told == fault) {
            self.told.push(fault.to_owned());
        }
    }

    fn outcome(&self, seconds: f64) -> Outcome {
        let at = |quantile| self.latency_ns.value_at_quantile(quantile) as f64 / 1000.0;
        let latency_us = Latency { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: self.latency_ns.max() as f64 / 1000.0 };
        Outcome { requests: self.latency_ns.len(), faults: self.faults, told: self.told.clone(), seconds, latency_us }
    }
}

fn print_plainly(outcome: &Outcome) {
    let Latency { p50, p99, p999, max } = outcome.latency_us;
    println!(
        "{} requests in {:.2} s, {:.0} requests/s, {} faults",
        outcome.requests,
        outcome.seconds,
        outcome.requests_per_second(),
        outcome.faults
    );
    println!("latency, us: p50 {p50:.0}, p99 {p99:.0}, p99.9 {p999:.0}, max {max:.0}");
    for fault in &outcome.told {
        println!("fault: {fault}");
    }
}
