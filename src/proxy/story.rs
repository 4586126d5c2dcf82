//! What happened to a request, gathered on its way for its log line.

use std::cell::{Cell, OnceCell};
use std::net::SocketAddr;

use super::connection::Connection;
use super::request::Request;
use crate::catalog::{ApiId, AppId, Scheme};
use crate::gate::authenticate::Credential;
use crate::gate::client::client_address;
use crate::gate::map::write_query;
use crate::gate::policy::Told;
use crate::gate::{Decision, Forward, Refusal, Verdict};
use crate::http::field::FieldId;
use crate::http::serialise::HeadWriter;
use crate::http::target::parse_target;
use crate::observe::counters::Finished;
use crate::observe::record::{Ended, Record, Timers};
use crate::upstream::Pick;

/// Cells, because both sides of an exchange write them.
pub struct Story {
    began_us: u64,
    /// Someone will read the timers that the metrics need.
    timed: Cell<bool>,
    /// Someone will read all timers.
    logged: Cell<bool>,
    /// The caller asked for debug information.
    pub debug: Cell<bool>,
    pub status: Cell<u16>,
    pub reused: Cell<bool>,
    pub retried: Cell<bool>,
    pub ended: Cell<Ended>,
    api: Cell<Option<ApiId>>,
    app: Cell<Option<AppId>>,
    credential: Cell<Option<Credential>>,
    backend: Cell<Option<SocketAddr>>,
    /// What the answer says of a limit.
    pub told: OnceCell<Told>,
    received: Cell<u64>,
    sent: Cell<u64>,
    timers: Cell<Timers>,
}

impl Story {
    pub fn begin(c: &Connection, request: &Request) -> Self {
        c.core.counters.requests.add(1);
        Self {
            began_us: request.began_us,
            timed: Cell::new(c.core.log.is_on() || c.core.counters.is_timed()),
            logged: Cell::new(c.core.log.is_on()),
            debug: Cell::new(false),
            status: Cell::new(0),
            reused: Cell::new(false),
            retried: Cell::new(false),
            ended: Cell::new(Ended::Answered),
            api: Cell::new(None),
            app: Cell::new(None),
            credential: Cell::new(None),
            backend: Cell::new(None),
            told: OnceCell::new(),
            received: Cell::new(0),
            sent: Cell::new(0),
            timers: Cell::default(),
        }
    }

    pub fn decided(&self, c: &Connection, decision: &Decision) {
        self.api.set(decision.api);
        self.app.set(decision.app);
        self.credential.set(decision.credential);
        self.debug.set(decision.debug);
        if let Verdict::Forward(Forward { told: Some(told), .. }) = &decision.verdict {
            let _ = self.told.set(told.clone());
        }
        self.timed.set(decision.debug || self.timed.get());
        self.logged.set(decision.debug || self.logged.get());
        if self.logged.get() {
            self.time(c, |timers, now_us| timers.decided_us = now_us);
        }
    }

    pub fn app(&self) -> Option<AppId> {
        self.app.get()
    }

    /// A new generation is in force, in which these are who calls what.
    pub fn moved(&self, api: ApiId, app: Option<AppId>) {
        self.api.set(Some(api));
        self.app.set(app);
    }

    pub fn picked(&self, pick: &Pick) {
        self.backend.set(Some(pick.instance.backend.address));
    }

    pub fn forwarded(&self, c: &Connection) {
        self.time(c, |timers, now_us| timers.forwarded_us = now_us);
    }

    /// The head of an answer is there.
    pub fn answered(&self, c: &Connection, status: u16) {
        self.status.set(status);
        self.time(c, |timers, now_us| timers.first_byte_us = now_us);
    }

    /// The gateway answers itself.
    pub fn refused(&self, refusal: &Refusal) {
        self.status.set(refusal.code.status());
    }

    pub fn has_answer(&self) -> bool {
        self.status.get() != 0
    }

    /// Bytes of the body received beyond those that came with the head.
    pub fn received(&self, n: usize) {
        self.received.set(self.received.get() + n as u64);
    }

    pub fn sent(&self, n: usize) {
        self.sent.set(self.sent.get() + n as u64);
    }

    /// Milliseconds that the backend took, and in all, so far.
    pub fn latencies(&self, c: &Connection) -> (u64, u64) {
        (self.timers.get().service_us() / 1000, (c.core.clock.now_us() - self.began_us) / 1000)
    }

    fn time(&self, c: &Connection, set: impl FnOnce(&mut Timers, u64)) {
        if !self.timed.get() {
            return;
        }
        let mut timers = self.timers.get();
        set(&mut timers, c.core.clock.now_us() - self.began_us);
        self.timers.set(timers);
    }

    /// Counts the request, and writes its line.
    pub fn end(&self, c: &Connection, request: &Request, refusal: Option<&Refusal>) {
        self.time(c, |timers, now_us| timers.total_us = now_us);
        let timers = self.timers.get();
        let answered_by_backend = refusal.is_none() && self.has_answer();
        let finished = Finished {
            status: self.status.get(),
            refused: refusal.map(|refusal| refusal.code as usize),
            ended: self.ended.get(),
            received_bytes: request.received_bytes() + self.received.get(),
            sent_bytes: self.sent.get(),
            // What followed a switch to another protocol is no request.
            total_us: if self.status.get() == 101 { timers.first_byte_us } else { timers.total_us },
            backend_us: answered_by_backend.then(|| timers.service_us()),
        };
        c.core.tally(&request.tables, self.api.get(), &finished);
        if c.core.log.is_on() {
            c.core.log.line(|line| self.record(c, request, refusal, line));
        }
    }

    fn record(&self, c: &Connection, request: &Request, refusal: Option<&Refusal>, line: &mut Vec<u8>) {
        let catalog = &request.tables.catalog;
        let view = request.view();
        let target = parse_target(view.method(), view.target()).ok();
        let api = self.api.get().map(|api| &catalog.apis[api.index()]);
        let message = &mut c.core.head_buffer.borrow_mut()[..];
        let mut writer = HeadWriter::new(message);
        refusal.inspect(|refusal| refusal.write_message(&mut writer));
        let message_len = writer.len();
        write_query(target.and_then(|t| t.query), true, &mut writer);
        let end = writer.finish().unwrap_or(message_len);
        Record {
            instance: &catalog.instance.name,
            request_id: &request.id,
            unix_ms: request.unix_ms,
            client_ip: client_address(&view, c.peer, &catalog.security.trusted_proxies),
            protocol: match (c.scheme, c.stream.is_lane()) {
                (Scheme::Http, false) => "HTTP",
                (Scheme::Https, false) => "HTTPS",
                (Scheme::Http, true) => "HTTP/2",
                (Scheme::Https, true) => "HTTPS/2",
            },
            method: view.method(),
            // The authority of an absolute target stands above `Host`, here as in the route.
            domain: target.and_then(|t| t.authority).or(view.field(FieldId::Host)).unwrap_or_default(),
            path: target.map(|t| t.path).unwrap_or_default(),
            query: message[message_len..end].strip_prefix(b"?").unwrap_or_default(),
            group: api.map_or("", |api| &catalog.groups[api.group.index()].name),
            api: api.map_or("", |api| &api.name),
            stage: match api {
                Some(api) => catalog.stages[api.stage.index()].as_bytes(),
                // What was asked for: a record that is replayed finds the same.
                None => view.field(FieldId::XCaStage).unwrap_or_default(),
            },
            app: self.app.get().and_then(|app| catalog.apps.get(app)).map_or("", |app| &app.name),
            credential: self.credential.get().map_or("", Credential::as_str),
            app_key: view.field(FieldId::XCaKey).unwrap_or_default(),
            nonce: view.field(FieldId::XCaNonce).unwrap_or_default(),
            status: self.status.get(),
            error_code: refusal.map_or("", |refusal| refusal.code.as_str()),
            error_message: &message[..message_len],
            backend: self.backend.get(),
            backend_reused: self.reused.get(),
            retried: self.retried.get(),
            request_bytes: request.received_bytes() + self.received.get(),
            response_bytes: self.sent.get(),
            timers: self.timers.get(),
            ended: self.ended.get(),
        }
        .write(line);
    }
}
