//! What a worker lends its connections: tables, buffers, backends, the log. One for each worker, shared by all of its
//! connections and by nobody else. No borrow of a cell here lives across an await.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::engine::Waiting;
use super::request_id::RequestIds;
use super::tally::Tally;
use super::upgraded::Upgraded;
use crate::catalog::{ApiId, Limits};
use crate::cluster::Engine;
use crate::gate::client::is_trusted;
use crate::gate::{self, Shared, Tables};
use crate::http::head::{RequestHead, ResponseHead};
use crate::net::admission::{Allowed, Full, Ticket};
use crate::net::boxes::Boxes;
use crate::net::handshake::Handshakes;
use crate::net::{Admission, Blocks, Clock, Pipes, Watches};
use crate::observe::access_log::Sink;
use crate::observe::counters::{Counters, Finished};
use crate::upstream::{Pools, Upstreams};

/// One generation as a worker runs it: tables and backends of its own. A request keeps the one it
/// started with to its end.
pub struct Running {
    /// Counts the generations of this process.
    pub load: u64,
    pub tables: Tables,
    pub upstreams: Upstreams,
    pub tally: Tally,
}

impl std::ops::Deref for Running {
    type Target = Tables;
    fn deref(&self) -> &Tables {
        &self.tables
    }
}

pub struct Core {
    /// The load that workers are to run: written by whoever puts a generation in force, read once a request.
    order: Arc<AtomicU64>,
    load: Cell<u64>,
    running: RefCell<Rc<Running>>,
    /// Ready for its order.
    prepared: RefCell<Option<Rc<Running>>>,
    pub shared: Arc<Shared>,
    pub pools: Rc<Pools>,
    pub admission: Arc<Admission>,
    /// Of the cluster, if there is one.
    pub engine: Option<Waiting>,
    pub blocks: Rc<Blocks>,
    pub pipes: Pipes,
    /// Where requests are taken through the gateway.
    pub exchanges: Boxes,
    pub handshakes: Handshakes,
    pub watches: Rc<Watches>,
    /// Requests under way on connections that many of them share.
    pub streams: Rc<Watches>,
    pub upgraded: Upgraded,
    pub clock: Clock,
    pub request_ids: RequestIds,
    pub log: Sink,
    pub counters: Arc<Counters>,
    /// No further request is taken on any connection.
    pub draining: Cell<bool>,
    /// Shortages of descriptors that this worker has answered.
    shortages: Cell<u64>,
    pub(super) scratch: RefCell<gate::Scratch>,
    pub(super) response_head: RefCell<ResponseHead>,
    /// Where a head is written before it takes its place in a block.
    pub(super) head_buffer: RefCell<Box<[u8]>>,
    #[expect(clippy::vec_box, reason = "a head goes out and comes back in its box, and is not copied")]
    request_heads: RefCell<Vec<Box<RequestHead>>>,
}

/// The largest head written, in bytes: the largest head read, and what the gateway adds.
const HEAD_BUFFER_BYTES: usize = 64 * 1024 + 4096;

/// Idle connections that a worker ends at a sweep when descriptors have run out.
const ENDED_AT_ONCE: usize = 16;

/// Request heads a worker keeps for later.
const HEADS_KEPT: usize = 1024;

impl Core {
    /// Of the worker with this number.
    #[expect(clippy::too_many_arguments, reason = "each is a part of its own")]
    pub fn new(
        number: usize,
        running: Running,
        order: Arc<AtomicU64>,
        shared: Arc<Shared>,
        pools: Rc<Pools>,
        admission: Arc<Admission>,
        engine: Option<Engine>,
        log: Sink,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            scratch: RefCell::new(gate::Scratch::new(&shared, number)),
            shortages: Cell::new(admission.shortages()),
            admission,
            engine: engine.map(Waiting::new),
            order,
            load: Cell::new(running.load),
            running: RefCell::new(Rc::new(running)),
            prepared: RefCell::default(),
            shared,
            blocks: pools.blocks.clone(),
            pipes: Pipes::default(),
            exchanges: Boxes::default(),
            pools,
            handshakes: Handshakes::default(),
            watches: Rc::default(),
            streams: Rc::default(),
            upgraded: Upgraded::default(),
            clock: Clock::default(),
            request_ids: RequestIds::new(),
            log,
            counters,
            draining: Cell::new(false),
            response_head: RefCell::default(),
            head_buffer: RefCell::new(vec![0; HEAD_BUFFER_BYTES].into()),
            request_heads: RefCell::default(),
        }
    }

    /// Runs a task of this worker; a panic ends it alone, and is counted.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.pools.spawn(task);
    }

    /// The generation in force. Costs one relaxed load: what the order is about was handed over, and acknowledged, before.
    pub fn running(&self) -> Rc<Running> {
        if self.order.load(Ordering::Relaxed) != self.load.get() {
            self.follow_order();
        }
        self.running.borrow().clone()
    }

    /// Counts a request that has ended.
    pub fn tally(&self, running: &Running, api: Option<ApiId>, request: &Finished) {
        let cells = running.tally.cells(api, &running.catalog, &self.counters);
        self.counters.finished(cells, request);
    }

    pub fn limits(&self) -> LimitsOf {
        LimitsOf(self.running())
    }

    /// Makes a generation ready: the next order for it takes effect at once.
    pub fn prepare(&self, next: Running) {
        // One that was abandoned before its order may go now.
        let _abandoned = self.prepared.replace(Some(Rc::new(next)));
    }

    /// Switches to the generation that was prepared, if the order is for it.
    #[cold]
    fn follow_order(&self) {
        let order = self.order.load(Ordering::Relaxed);
        let next = self.prepared.borrow_mut().take_if(|next| next.load == order);
        if let Some(next) = next {
            self.load.set(order);
            let _before = self.running.replace(next);
        }
    }

    /// Proxies that stand for many clients.
    pub fn is_trusted_proxy(&self, peer: IpAddr) -> bool {
        is_trusted(&self.running().catalog.security.trusted_proxies, peer)
    }

    /// A place among all clients of the process.
    pub fn admit(&self, peer: IpAddr) -> Result<Ticket, Full> {
        let limits = self.limits();
        let allowed = Allowed { in_all: limits.connections, per_address: limits.connections_per_address };
        // Behind a trusted proxy there are many clients.
        self.admission.admit((!self.is_trusted_proxy(peer)).then_some(peer), allowed)
    }

    /// Ends a client's connection that waits between two requests. False: there is none.
    pub fn end_an_idle_client(&self) -> bool {
        let ended = self.watches.end_longest_idle();
        self.counters.connections_ended.add(u64::from(ended));
        ended
    }

    /// The same, or else one that is kept for a backend.
    pub fn end_an_idle_one(&self) -> bool {
        self.end_an_idle_client() || self.pools.end_longest_idle()
    }

    /// Descriptors have run out: every worker ends some idle connections at its next sweep.
    pub fn run_short_of_descriptors(&self) {
        self.admission.run_short();
    }

    /// Ends idle connections where descriptors have run out since this was last called.
    pub fn relieve(&self) {
        if self.shortages.replace(self.admission.shortages()) != self.admission.shortages() {
            self.pipes.close_free();
            (0..ENDED_AT_ONCE).take_while(|_| self.end_an_idle_one()).for_each(drop);
        }
    }

    /// Hands on what a decision needs of the cluster's engine.
    #[inline]
    pub(super) fn ask_engine(&self) {
        if let Some(engine) = &self.engine {
            engine.ask(&mut self.scratch.borrow_mut().counting);
        }
    }

    /// Calls so far that needed a counter for which there was no room.
    pub fn quota_without_room(&self) -> u64 {
        self.scratch.borrow().counting.without_room
    }

    /// Nonces so far for which there was no room.
    pub fn nonces_without_room(&self) -> u64 {
        self.scratch.borrow().authenticate.nonces_without_room
    }

    pub(super) fn request_head(&self) -> Box<RequestHead> {
        self.request_heads.borrow_mut().pop().unwrap_or_default()
    }

    pub(super) fn put_request_head(&self, head: Box<RequestHead>) {
        let mut heads = self.request_heads.borrow_mut();
        if heads.len() < HEADS_KEPT {
            heads.push(head);
        }
    }
}

/// The limits of the generation in force.
pub struct LimitsOf(Rc<Running>);

impl std::ops::Deref for LimitsOf {
    type Target = Limits;
    fn deref(&self) -> &Limits {
        &self.0.catalog.limits
    }
}
