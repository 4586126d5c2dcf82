//! The thread that speaks to the engine.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use redis::{RedisError, RedisResult, Value, cmd};

use super::ledger::{Answer, Ask, Ledger};
use super::link::Link;
use super::script::{self, BEAT, Beat, Call, LEASE, Names, TURNS};
use super::turns::{self, Waiters};
use super::{Counted, Message, NonceAsk, NonceVerdict};
use crate::catalog::Cluster;
use crate::gate::Shared;
use crate::gate::quota::Budget;
use crate::gate::quota::allowance::Standing;
use crate::gate::quota::look::Level;
use crate::gate::quota::window::Window;
use crate::net::bell::Ringer;
use crate::net::clock::unix_ms;
use crate::observe::event::Event;

/// How often the engine is told that this node is there, and how often it is asked whether it gives anything yet.
const BEAT_EVERY_MS: u64 = 250;
const ASK_EVERY_MS: u64 = 25;
/// Between two tries to connect.
const CONNECT_EVERY_MS: u64 = 100;
/// Counters that the engine is told of at a time.
const TOLD_AT_ONCE: usize = 500;
/// Messages taken in at a time.
const BATCH: usize = 4096;
const IDLE: Duration = Duration::from_millis(BEAT_EVERY_MS);

pub struct Client {
    cluster: Arc<Cluster>,
    shared: Arc<Shared>,
    names: Names,
    ringers: Arc<[Ringer]>,
    counted: Arc<Counted>,
    nonce_ms: u64,
    ledger: Ledger,
    waiters: Waiters,
    nonces: Vec<NonceAsk>,
    link: Option<Joined>,
    connect_at_ms: u64,
    beat_at_ms: u64,
    /// The process ends: who waits for what is unused to be given back.
    leaves: Option<SyncSender<()>>,
    /// That the engine cannot be reached has been said.
    said: bool,
}

/// A connection on which the engine knows this node.
struct Joined {
    link: Link,
    lease: String,
    turns: String,
    beat: String,
    /// Which start of the engine this is.
    run: String,
}

/// What a command of a batch was for.
enum Sent {
    Beat,
    Ask(Ask),
    Turns(turns::Ask),
    Nonce(NonceAsk),
}

impl Client {
    pub fn new(
        cluster: Arc<Cluster>,
        shared: Arc<Shared>,
        names: Names,
        ringers: Arc<[Ringer]>,
        counted: Arc<Counted>,
        nonce_ms: u64,
    ) -> Self {
        Self {
            cluster,
            shared,
            names,
            ringers,
            counted,
            nonce_ms,
            ledger: Ledger::default(),
            waiters: Waiters::default(),
            nonces: Vec::new(),
            link: None,
            connect_at_ms: 0,
            beat_at_ms: 0,
            leaves: None,
            said: false,
        }
    }

    /// Until the process leaves, or nobody is there to ask.
    pub fn run(mut self, inbox: &Receiver<Message>) {
        // Turns are of moments, and of the process that was given them.
        let buckets = self.shared.quotas.counters().filter(|seen| seen.level.window().is_none());
        buckets.for_each(|seen| self.shared.quotas.clear_turns(seen.id));
        loop {
            let now_ms = unix_ms();
            if self.link.is_none() && self.connect_at_ms <= now_ms {
                self.connect_at_ms = now_ms + CONNECT_EVERY_MS;
                match self.join() {
                    Ok(joined) => self.link = Some(joined),
                    Err(error) => self.lose(&error),
                }
            }
            match inbox.recv_timeout(self.pause()) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            for message in inbox.try_iter().take(BATCH) {
                self.take(message);
            }
            if let Some(done) = self.leaves.take() {
                self.leave();
                _ = done.try_send(());
                return;
            }
            self.turn();
        }
    }

    fn standing(&self) -> Option<&Standing> {
        self.shared.quotas.standing().map(|standing| &**standing)
    }

    fn pause(&self) -> Duration {
        let now_ms = unix_ms();
        let at_ms = match &self.link {
            None => self.connect_at_ms,
            Some(_) => {
                let engine_ms = self.engine_ms();
                let turns_in_ms = self.waiters.next_ms(engine_ms).map_or(u64::MAX, |at_ms| at_ms.saturating_sub(engine_ms));
                self.beat_at_ms.min(self.ledger.next_ms(now_ms).unwrap_or(u64::MAX)).min(now_ms.saturating_add(turns_in_ms))
            }
        };
        Duration::from_millis(at_ms.saturating_sub(now_ms)).min(IDLE)
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Need(need) => {
                let wait_ms = self.cluster.wait.as_millis() as u64;
                match need.budget {
                    Budget::Window(_) => self.ledger.need(&need, unix_ms(), wait_ms),
                    Budget::Bucket { .. } => self.waiters.need(&need, self.engine_ms(), wait_ms),
                }
            }
            Message::Nonce(ask) => self.nonces.push(ask),
            Message::Call(Call::GiveBack { id, window }) => self.ledger.recall(id, window),
            Message::Call(Call::Reset { id, window, resets }) => {
                // Workers are in the middle of something for microseconds.
                while !self.ledger.reset(id, window, resets, &self.shared.quotas) {
                    std::thread::yield_now();
                }
            }
            Message::Leave(done) => self.leaves = Some(done),
        }
    }

    /// One round trip, if there is anything to be said.
    fn turn(&mut self) {
        let now_ms = unix_ms();
        if self.link.is_none() {
            return self.give_nonces_up();
        }
        let (asks, news) = self.waiters.due(self.engine_ms(), &self.shared.quotas);
        if news {
            self.ring();
        }
        let Some(Joined { beat, lease, turns, .. }) = &self.link else { return };
        let (mut commands, mut sent) = (Vec::new(), Vec::new());
        for ask in asks {
            commands.push(self.names.turns(turns, &ask));
            sent.push(Sent::Turns(ask));
        }
        for ask in self.nonces.drain(..) {
            commands.push(nonce(&self.names, ask.nonce, self.nonce_ms));
            sent.push(Sent::Nonce(ask));
        }
        for ask in self.ledger.due(now_ms, &self.shared.quotas) {
            commands.push(self.names.lease(lease, &ask));
            sent.push(Sent::Ask(ask));
        }
        if self.beat_at_ms <= now_ms {
            commands.push(self.names.beat(beat));
            sent.push(Sent::Beat);
        }
        if commands.is_empty() {
            return;
        }
        match self.exchange(commands) {
            Ok(answers) => self.answered(sent, answers, now_ms),
            Err(error) => {
                sent.into_iter().for_each(|sent| {
                    if let Sent::Nonce(ask) = sent {
                        ask.answer.give(NonceVerdict::Lost);
                    }
                });
                self.lose(&error);
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a round trip is measured, not decided by; no worker is here")]
    fn exchange(&mut self, commands: Vec<redis::Cmd>) -> RedisResult<Vec<Value>> {
        let Some(joined) = &mut self.link else { return Ok(Vec::new()) };
        let began = Instant::now();
        let answers = joined.link.all(commands)?;
        self.counted.round_trips.fetch_add(1, Relaxed);
        self.counted.round_trip_us.fetch_add(began.elapsed().as_micros() as u64, Relaxed);
        Ok(answers)
    }

    fn answered(&mut self, sent: Vec<Sent>, answers: Vec<Value>, sent_ms: u64) {
        let now_ms = unix_ms();
        let (mut news, mut begins_anew) = (false, false);
        for (sent, value) in sent.into_iter().zip(answers) {
            match sent {
                Sent::Nonce(ask) => {
                    self.counted.nonces.fetch_add(1, Relaxed);
                    // `SET NX` says OK, or nothing where the key is there.
                    ask.answer.give(match value {
                        Value::Okay => NonceVerdict::Fresh,
                        Value::Nil => NonceVerdict::Seen,
                        _ => NonceVerdict::Lost,
                    });
                    news = true;
                }
                Sent::Ask(ask) => {
                    let answer = script::answer(&value).unwrap_or(Answer::Noted);
                    begins_anew |= answer == Answer::Settling;
                    if let Answer::Granted(units) = answer {
                        self.note(units);
                    }
                    self.hear(ask.id, Some(ask.window), script::elsewhere(&value));
                    news |= self.ledger.answered(&ask, answer, now_ms, &self.shared.quotas);
                }
                Sent::Turns(ask) => {
                    let (answer, left) = script::turns(&value, ask.limit).unwrap_or((turns::Answer::Noted, ask.limit));
                    begins_anew |= answer == turns::Answer::Settling;
                    if let turns::Answer::Granted(turns) | turns::Answer::Last(turns) = &answer {
                        self.note(turns.iter().map(|turns| turns.n).sum());
                    }
                    self.hear(ask.id, None, Some(left));
                    news |= self.waiters.answered(&ask, answer, self.engine_ms(), &self.shared.quotas);
                }
                Sent::Beat => {
                    let beat = script::beat(&value);
                    let same = |beat: &Beat| self.link.as_ref().is_some_and(|joined| joined.run == beat.run);
                    begins_anew |= !beat.as_ref().is_some_and(same);
                    news |= beat.is_some_and(|beat| self.heard(&beat, sent_ms, now_ms));
                }
            }
        }
        if begins_anew {
            // Another connection, on which it is told everything.
            (self.link, self.connect_at_ms) = (None, 0);
            news |= self.standing().is_some_and(|standing| !standing.set_lost(true));
        }
        if news {
            self.ring();
        }
    }

    fn note(&self, units: u64) {
        self.counted.leases.fetch_add(1, Relaxed);
        self.counted.units.fetch_add(units, Relaxed);
    }

    fn hear(&self, id: u64, of: Option<Window>, units: Option<u64>) {
        if let (Some(standing), Some(units)) = (self.standing(), units) {
            standing.hear(id, of, units);
        }
    }

    fn ring(&self) {
        self.ringers.iter().for_each(Ringer::ring);
    }

    /// The engine's clock, as far as it is known.
    fn engine_ms(&self) -> u64 {
        self.shared.quotas.now_ms(unix_ms())
    }

    /// Whether the engine is of use again.
    fn heard(&mut self, beat: &Beat, sent_ms: u64, now_ms: u64) -> bool {
        self.beat_at_ms = now_ms + if beat.settled { BEAT_EVERY_MS } else { ASK_EVERY_MS };
        let Some(standing) = self.standing() else { return false };
        standing.set_ahead_ms(beat.now_ms as i64 - sent_ms.midpoint(now_ms) as i64);
        standing.set_nodes(self.cluster.nodes.unwrap_or(beat.nodes));
        let back = beat.settled && standing.set_lost(false);
        if beat.settled && self.said {
            self.said = false;
            Event::EngineBack { nodes: beat.nodes }.tell();
        }
        back
    }

    /// Connects, and tells the engine what this node may give out.
    fn join(&mut self) -> RedisResult<Joined> {
        self.ledger.abandon();
        self.waiters.abandon();
        let mut link = Link::connect(&self.cluster, self.cluster.wait)?;
        let (lease, turns, beat) = (link.load(LEASE)?, link.load(TURNS)?, link.load(BEAT)?);
        let run = self.beat(&mut link, &beat)?.run;
        let mut commands = Vec::new();
        for seen in self.shared.quotas.counters() {
            let Level::Window { window, .. } = seen.level else { continue };
            if let Some(ask) = self.ledger.tell(seen.id, window, &self.shared.quotas) {
                commands.push(self.names.lease(&lease, &ask));
            }
            if commands.len() >= TOLD_AT_ONCE {
                link.all(std::mem::take(&mut commands))?;
            }
        }
        commands.extend(self.waiters.tell().iter().map(|ask| self.names.turns(&turns, ask)));
        if !commands.is_empty() {
            link.all(commands)?;
        }
        let (sent_ms, answer) = (unix_ms(), self.beat(&mut link, &beat)?);
        if self.heard(&answer, sent_ms, unix_ms()) {
            self.ring();
        }
        Ok(Joined { link, lease, turns, beat, run })
    }

    fn beat(&self, link: &mut Link, digest: &str) -> RedisResult<Beat> {
        let value = link.one(&self.names.beat(digest))?;
        script::beat(&value).ok_or(RedisError::from((redis::ErrorKind::UnexpectedReturnType, "not an answer of a script")))
    }

    fn lose(&mut self, error: &RedisError) {
        self.counted.failures.fetch_add(1, Relaxed);
        self.link = None;
        self.ledger.abandon();
        self.waiters.abandon();
        self.give_nonces_up();
        if !std::mem::replace(&mut self.said, true) {
            Event::EngineLost { error: &error.to_string() }.tell();
        }
        if self.standing().is_some_and(|standing| !standing.set_lost(true)) {
            self.ring();
        }
    }

    fn give_nonces_up(&mut self) {
        if !self.nonces.is_empty() {
            self.nonces.drain(..).for_each(|ask| ask.answer.give(NonceVerdict::Lost));
            self.ring();
        }
    }

    /// Gives back what is unused, for the others to have.
    fn leave(&mut self) {
        for seen in self.shared.quotas.counters() {
            if let Level::Window { window, .. } = seen.level {
                self.ledger.recall(seen.id, window);
            }
        }
        self.waiters.release();
        self.turn();
    }
}

fn nonce(names: &Names, nonce: u128, kept_ms: u64) -> redis::Cmd {
    let mut command = cmd("SET");
    command.arg(names.nonce(nonce)).arg(1).arg("NX").arg("PX").arg(kept_ms);
    command
}
