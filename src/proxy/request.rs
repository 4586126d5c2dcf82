//! A request as it comes in: its head, then as much of its body as the gate asks for.

use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use super::connection::{After, Connection};
use super::core::Running;
use super::engine::Waiting;
use super::failure::Failure;
use super::forward::HEADROOM;
use super::pace::Pace;
use super::queue::own_turn;
use super::request_id::RequestId;
use super::transfer::{Passed, Transfer};
use crate::catalog::cluster::NonceLoss;
use crate::cluster::NonceVerdict;
use crate::gate::{self, Call, Decision, ErrorCode, Forward, Refusal, Verdict};
use crate::http::framing::{BodyLength, RequestFraming, request_framing};
use crate::http::head::{Parsed, RequestHead, RequestView, parse_request};
use crate::http::serialise::HeadWriter;
use crate::http::target::parse_target;
use crate::net::{Block, Ready, Wait, pause};
use crate::observe::record::Ended;

pub struct Request {
    /// Head, then what has been received of the body, then perhaps bytes of the next request.
    pub block: Block,
    pub head: Box<RequestHead>,
    pub framing: RequestFraming,
    pub id: RequestId,
    /// The generation in force when the head was complete.
    pub tables: Rc<Running>,
    /// Unix time at which the head was complete.
    pub unix_ms: u64,
    /// The same on the worker's clock.
    pub began_us: u64,
    /// Where the next request begins in the block, once the whole body is known to be there.
    pub next_at: Option<usize>,
}

/// How often, and for how long in between, a call is asked about again that hangs on another worker's units. One that was
/// killed is found out about within a second or two.
const DOUBTS: usize = 5000;
const DOUBT_PAUSE: Duration = Duration::from_millis(1);

/// How reading a head can end without one.
pub enum NoRequest {
    /// The client closed between requests, or left in the middle of a head.
    Gone(Block),
    /// What came is no request: the client is told, and the connection closes.
    Refused(Box<Request>, Refusal),
}

impl Request {
    /// Reads a head. `block` may hold bytes received with the request before.
    pub async fn read(c: &Connection, mut block: Block) -> Result<Request, NoRequest> {
        let before = c.core.running();
        let limits = &before.catalog.limits;
        let mut head = c.core.request_head();
        let mut scanned = 0;
        let outcome = loop {
            if !block.is_empty() {
                match parse_request(block.filled(), scanned, &limits.head, &mut head) {
                    Ok(Parsed::Complete) => break Ok(()),
                    Ok(Parsed::Partial) => scanned = block.len(),
                    Err(error) => break Err(error.into()),
                }
                if c.watch.from_client.wait() != Wait::Head {
                    c.watch.from_client.arm(Wait::Head, c.core.clock.coarse_ms(), limits.head_timeout);
                }
            }
            if block.room() == 0 {
                block = c.core.blocks.with_room(block, 0);
            }
            let (result, back) = c.stream.recv(block).await;
            block = back;
            match result {
                Ok(n) if n > 0 => {}
                _ if c.watch.from_client.expired() == Wait::Head => {
                    break Err(Refusal::because(ErrorCode::I400HD, "the request head took too long"));
                }
                _ => {
                    c.core.put_request_head(head);
                    return Err(NoRequest::Gone(block));
                }
            }
        };
        c.watch.from_client.clear();
        let began_us = c.core.clock.now_us();
        let mut request = Request {
            block,
            head,
            framing: RequestFraming { body: BodyLength::None, keep_alive: false, expects_continue: false },
            id: c.core.request_ids.next(),
            began_us,
            unix_ms: c.core.clock.unix_ms(began_us),
            tables: c.core.running(),
            next_at: None,
        };
        if outcome.is_err() {
            // What was read of it says nothing.
            *request.head = RequestHead::default();
        }
        let framed = outcome.and_then(|()| request_framing(&request.view()).map_err(Refusal::from));
        match framed {
            Ok(framing) => {
                request.framing = framing;
                Ok(request)
            }
            Err(refusal) => Err(NoRequest::Refused(Box::new(request), refusal)),
        }
    }

    /// Bytes received so far that are not another request's.
    pub fn received_bytes(&self) -> u64 {
        self.next_at.unwrap_or(self.block.len()) as u64
    }

    pub fn view(&self) -> RequestView<'_> {
        RequestView { buffer: self.block.filled(), head: &self.head }
    }

    /// Asks the gate. What it leaves open is for [`Request::settle`]; apart, because most decisions need no waiting.
    pub fn decide(&self, c: &Connection) -> Result<Decision, Failure> {
        self.judge(c, None)
    }

    /// Brings an open decision to its end. Where the signature covers a form body, the body is read first.
    pub async fn settle(
        &mut self,
        c: &Connection,
        ready: Pin<&mut dyn Ready>,
        mut decision: Decision,
    ) -> Result<Decision, Failure> {
        let mut form = None;
        if matches!(decision.verdict, Verdict::NeedForm) {
            self.read_form(c).await?;
            form = Some(());
            decision = self.judge(c, form)?;
        }
        // Boxed, because they are rare.
        if let Verdict::Unconfirmed(forward, nonce) = decision.verdict {
            decision.verdict = Box::pin(self.confirm(c, form, forward, nonce)).await?;
        }
        if matches!(decision.verdict, Verdict::InDoubt(_) | Verdict::Awaited(_)) {
            decision.verdict = Box::pin(self.doubt(c, form, decision.verdict)).await?;
        }
        if let Verdict::Forward(forward @ Forward { wait_ms: 1.., .. }) = &decision.verdict {
            Box::pin(own_turn(c, ready, self, form, forward)).await?;
        }
        Ok(decision)
    }

    /// Asks the cluster's engine whether another gateway has seen the nonce.
    async fn confirm(&self, c: &Connection, form: Option<()>, forward: Forward, nonce: u128) -> Result<Verdict, Failure> {
        let found = match &c.core.engine {
            Some(engine) => engine.confirm(nonce, &c.core.clock).await,
            None => NonceVerdict::Lost,
        };
        match (found, self.tables.catalog.security.nonces_on_engine_loss) {
            (NonceVerdict::Seen, _) => return Ok(Verdict::Refuse(Refusal::new(ErrorCode::S403NU))),
            (NonceVerdict::Lost, NonceLoss::Refuse) => {
                let why = "the nonces of the cluster cannot be reached";
                return Ok(Verdict::Refuse(Refusal::because(ErrorCode::S403NU, why)));
            }
            (NonceVerdict::Fresh, _) | (NonceVerdict::Lost, NonceLoss::Allow) => {}
        }
        let call = self.call(c, form)?;
        let scratch = &mut c.core.scratch.borrow_mut();
        let verdict = gate::admit_again(&call, &self.tables, &c.core.shared, scratch, forward, false);
        c.core.engine.iter().for_each(|engine| engine.ask(&mut scratch.counting));
        Ok(verdict)
    }

    /// Waits until it is known whether there is a unit left of every quota: on this node, and in its cluster.
    async fn doubt(&self, c: &Connection, form: Option<()>, mut verdict: Verdict) -> Result<Verdict, Failure> {
        let patience_us = c.core.engine.as_ref().map(Waiting::patience_us);
        let until_us = c.core.clock.now_us() + patience_us.unwrap_or(u64::MAX / 2);
        let left = || Duration::from_micros(until_us.saturating_sub(c.core.clock.now_us()));
        let mut doubts = 0;
        while doubts < DOUBTS {
            let forward = match (verdict, &c.core.engine) {
                (Verdict::Awaited(forward), Some(engine)) => {
                    engine.news(left()).await;
                    forward
                }
                (Verdict::InDoubt(forward) | Verdict::Awaited(forward), _) => {
                    doubts += 1;
                    pause(DOUBT_PAUSE).await;
                    forward
                }
                (verdict, _) => return Ok(verdict),
            };
            let call = self.call(c, form)?;
            let (scratch, late) = (&mut c.core.scratch.borrow_mut(), left().is_zero());
            verdict = gate::admit_again(&call, &self.tables, &c.core.shared, scratch, forward, late);
            c.core.engine.iter().for_each(|engine| engine.ask(&mut scratch.counting));
        }
        Err(Refusal::new(ErrorCode::X503BZ).into())
    }

    /// The gate's view of this request.
    pub fn call<'a>(&'a self, c: &'a Connection, form: Option<()>) -> Result<Call<'a>, Refusal> {
        let request = self.view();
        Ok(Call {
            request,
            target: parse_target(request.method(), request.target())?,
            body_bytes: self.framing.body.declared(),
            scheme: c.scheme,
            peer: c.peer,
            client: c.stream.session().map(|session| &session.peer),
            form: form.map(|()| self.form()),
            now_ms: self.unix_ms,
        })
    }

    fn judge(&self, c: &Connection, form: Option<()>) -> Result<Decision, Failure> {
        let call = self.call(c, form)?;
        let decision = gate::decide(&call, &self.tables, &c.core.shared, &mut c.core.scratch.borrow_mut());
        c.core.ask_engine();
        Ok(decision)
    }

    /// The whole body, once [`Request::read_form`] has read it.
    fn form(&self) -> &[u8] {
        let body = &self.block.filled()[self.head.len..];
        match self.framing.body {
            BodyLength::Exact(n) => &body[..body.len().min(usize::try_from(n).unwrap_or(usize::MAX))],
            _ => &[],
        }
    }

    /// Reads the whole body into the block behind the head, without its coding: from then on its length is exact.
    async fn read_form(&mut self, c: &Connection) -> Result<(), Failure> {
        let limits = &self.tables.clone().catalog.limits;
        if matches!(self.framing.body, BodyLength::Exact(n) if n > limits.form_bytes as u64) {
            return Err(Refusal::new(ErrorCode::I413RL).into());
        }
        self.ask_to_continue(c).await?;
        let mut transfer = Transfer::new(self.framing.body, false);
        // Content so far ends at `content_end`; bytes received behind it are still as they came.
        let mut content_end = self.head.len;
        let mut pace = Pace::default();
        loop {
            let received = &mut self.block.filled_mut()[content_end..];
            let passed = transfer.pass(received, &limits.chunked).map_err(Refusal::from)?;
            received.copy_within(passed.output.clone(), 0);
            let content_len = passed.output.len();
            let unread = received.len() - passed.consumed;
            received.copy_within(passed.consumed.., content_len);
            content_end += content_len;
            self.block.narrow(0..content_end + unread);
            if content_end - self.head.len > limits.form_bytes {
                return Err(Refusal::new(ErrorCode::I413RL).into());
            }
            if passed.ended {
                break;
            }
            self.receive_body(c, &mut pace).await?;
        }
        let length = (content_end - self.head.len) as u64;
        self.framing.body = if length == 0 { BodyLength::None } else { BodyLength::Exact(length) };
        Ok(())
    }

    async fn receive_body(&mut self, c: &Connection, pace: &mut Pace) -> Result<(), Failure> {
        let limits = &self.tables.catalog.limits;
        let began_ms = c.core.clock.coarse_ms();
        c.watch.from_client.arm(Wait::Body, began_ms, pace.allows(limits.body_timeout, limits.body_rate));
        let mut block = std::mem::replace(&mut self.block, Block::with_room(0));
        if block.room() == 0 {
            block = c.core.blocks.with_room(block, 0);
        }
        let (result, block) = c.stream.recv(block).await;
        self.block = block;
        c.watch.from_client.clear();
        match result {
            Ok(n) if n > 0 => {
                pace.note(c.core.clock.coarse_ms() - began_ms, n);
                Ok(())
            }
            _ if c.watch.from_client.expired() == Wait::Body => {
                Err(Refusal::because(ErrorCode::I400BD, "the body took too long").into())
            }
            _ => Err(Failure::End(Ended::ClientGone)),
        }
    }

    /// Tells a client that waits for it to send its body (RFC 9110, section 10.1.1).
    pub async fn ask_to_continue(&mut self, c: &Connection) -> Result<(), Failure> {
        if !std::mem::take(&mut self.framing.expects_continue) || self.block.len() > self.head.len {
            return Ok(());
        }
        let mut block = c.core.blocks.small();
        block.append(crate::http::serialise::CONTINUE);
        let (result, block) = c.send(block).await;
        c.core.blocks.put(block);
        result.map_err(|_| Failure::of_client(&c.watch))
    }

    /// Takes what has been received of the body: what of it goes to the backend, and what is still to come.
    /// `bare`: the content is looked at on its way.
    pub fn first_part(&mut self, bare: bool) -> Result<(Transfer, Passed), Refusal> {
        let limits = &self.tables.catalog.limits;
        let mut transfer = Transfer::to_backend(self.framing.body, bare);
        let head_len = self.head.len;
        let mut passed = transfer.pass(&mut self.block.filled_mut()[head_len..], &limits.chunked)?;
        passed.output = passed.output.start + head_len..passed.output.end + head_len;
        passed.consumed += head_len;
        self.next_at = passed.ended.then_some(passed.consumed);
        Ok((transfer, passed))
    }

    /// Ends a body that is whole, in place: what ended it as it came in was no shorter.
    pub fn append_tail(&mut self, first: &mut Passed, transfer: &Transfer) {
        for part in transfer.tail() {
            let end = first.output.end + part.len();
            if end <= first.consumed {
                self.block.filled_mut()[first.output.end..end].copy_from_slice(part);
                first.output.end = end;
            }
        }
    }

    /// Bytes that belong to the next request have been received with this one.
    pub fn has_another(&self) -> bool {
        self.next_at.is_some_and(|next| next < self.block.len())
    }

    /// Writes the head of the backend request.
    pub fn map(&self, c: &Connection, forward: &Forward, instance: &crate::catalog::BackendInstance) -> Result<Block, Refusal> {
        let call = self.call(c, None)?;
        let outgoing = gate::map::Outgoing { instance, request_id: &self.id, body: self.framing.body, http2: c.stream.is_lane() };
        let write = |room: &mut [u8]| {
            let room = room.len().checked_sub(HEADROOM).and_then(|len| room.get_mut(..len))?;
            let mut writer = HeadWriter::new(room);
            gate::map::write_request(&call, forward, &self.tables, &outgoing, &mut writer);
            writer.finish()
        };
        let mut out = c.core.blocks.small();
        if out.fill_with(write) {
            return Ok(out);
        }
        c.core.blocks.put(out);
        let mut out = c.core.blocks.large();
        if out.fill_with(write) { Ok(out) } else { Err(Refusal::new(ErrorCode::I413UL)) }
    }

    /// Keeps the head alone, in no more room than it takes: it is told of later, and what comes meanwhile is not its own.
    pub fn shrink(&mut self, c: &Connection) {
        let head = self.block.filled().get(..self.head.len).unwrap_or_default().to_vec();
        self.next_at = Some(head.len());
        c.core.blocks.put(std::mem::replace(&mut self.block, Block::of(head)));
    }

    /// Gives buffers back, except for one with bytes of the next request.
    pub fn give_back(mut self, c: &Connection, after: After) -> After {
        c.core.put_request_head(self.head);
        if let (After::Next(None), Some(next)) = (&after, self.next_at)
            && next < self.block.len()
        {
            self.block.advance(next);
            return After::Next(Some(self.block));
        }
        c.core.blocks.put(self.block);
        after
    }
}
