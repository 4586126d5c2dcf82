//! What a worker lends its connections: tables, buffers, backends, the log. One for each worker, shared by all of its
//! connections and by nobody else. No borrow of a cell here lives across an await.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::request_id::RequestIds;
use crate::catalog::Limits;
use crate::gate::{self, Shared, Tables};
use crate::http::head::{RequestHead, ResponseHead};
use crate::net::handshake::Handshakes;
use crate::net::{Blocks, Clock, Watches};
use crate::observe::access_log::Sink;
use crate::observe::counters::Counters;
use crate::upstream::Upstreams;

pub struct Core {
    tables: RefCell<Rc<Tables>>,
    pub shared: Arc<Shared>,
    pub upstreams: Upstreams,
    pub blocks: Rc<Blocks>,
    pub handshakes: Handshakes,
    pub watches: Rc<Watches>,
    pub clock: Clock,
    pub request_ids: RequestIds,
    pub log: Sink,
    pub counters: Arc<Counters>,
    /// No further request is taken on any connection.
    pub draining: Cell<bool>,
    pub(super) scratch: RefCell<gate::Scratch>,
    pub(super) response_head: RefCell<ResponseHead>,
    /// Where a head is written before it takes its place in a block.
    pub(super) head_buffer: RefCell<Box<[u8]>>,
    #[expect(clippy::vec_box, reason = "a head goes out and comes back in its box, and is not copied")]
    request_heads: RefCell<Vec<Box<RequestHead>>>,
}

/// The largest head written, in bytes: the largest head read, and what the gateway adds.
const HEAD_BUFFER_BYTES: usize = 64 * 1024 + 4096;

/// Request heads a worker keeps for later.
const HEADS_KEPT: usize = 1024;

impl Core {
    pub fn new(tables: Tables, shared: Arc<Shared>, upstreams: Upstreams, log: Sink, counters: Arc<Counters>) -> Self {
        Self {
            upstreams,
            tables: RefCell::new(Rc::new(tables)),
            shared,
            blocks: Rc::default(),
            handshakes: Handshakes::default(),
            watches: Rc::default(),
            clock: Clock::default(),
            request_ids: RequestIds::new(),
            log,
            counters,
            draining: Cell::new(false),
            scratch: RefCell::default(),
            response_head: RefCell::default(),
            head_buffer: RefCell::new(vec![0; HEAD_BUFFER_BYTES].into()),
            request_heads: RefCell::default(),
        }
    }

    /// The tables in force: a request keeps those it started with.
    pub fn tables(&self) -> Rc<Tables> {
        self.tables.borrow().clone()
    }

    pub fn limits(&self) -> LimitsOf {
        LimitsOf(self.tables())
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

/// The limits of the tables in force.
pub struct LimitsOf(Rc<Tables>);

impl std::ops::Deref for LimitsOf {
    type Target = Limits;
    fn deref(&self) -> &Limits {
        &self.0.catalog.limits
    }
}
