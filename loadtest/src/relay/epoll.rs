//! The same floor on epoll: readiness, and a plain system call for each read and each write, into one hot buffer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use anyhow::Result;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

const EVENTS: usize = 512;
/// The listener's, which no pair of connections has.
const LISTENER: u64 = u64::MAX;

pub fn serve(listener: &TcpListener, backend: SocketAddr) -> Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut relay = Relay { epoll, pairs: Vec::new(), free: Vec::new(), buffer: vec![0; super::BUFFER_BYTES] };
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
    loop {
        events.clear();
        match epoll::wait(&relay.epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Err(rustix::io::Errno::INTR) => continue,
            waited => waited?,
        };
        for event in &events {
            match event.data.u64() {
                LISTENER => relay.accept(listener, backend)?,
                end => relay.act((end / 2) as usize, (end % 2) as usize, event.flags),
            }
        }
    }
}

struct Relay {
    epoll: OwnedFd,
    /// Where none is, its place is among the free ones.
    pairs: Vec<Option<Pair>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
}

impl Relay {
    fn accept(&mut self, listener: &TcpListener, backend: SocketAddr) -> Result<()> {
        loop {
            let client = match listener.accept() {
                Ok((client, _)) => client,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            // The generator at the other end sees what ends here, and reports it.
            let Ok(pair) = Pair::open(client, backend) else { continue };
            let place = self.free.pop().unwrap_or(self.pairs.len());
            for (end, socket) in pair.ends.iter().enumerate() {
                epoll::add(&self.epoll, socket, EventData::new_u64((place * 2 + end) as u64), pair.interest[end])?;
            }
            if place == self.pairs.len() {
                self.pairs.push(None);
            }
            self.pairs[place] = Some(pair);
        }
    }

    fn act(&mut self, place: usize, end: usize, ready: EventFlags) {
        let Some(pair) = self.pairs.get_mut(place).and_then(Option::as_mut) else { return };
        let done = pair.act(end, ready, &mut self.buffer).and_then(|()| pair.watch(&self.epoll, place));
        if done.is_err() || pair.flows.iter().all(|flow| flow.ended && flow.held.is_empty()) {
            // What is closed is watched no more.
            self.pairs[place] = None;
            self.free.push(place);
        }
    }
}

/// A client's connection and the backend's; flow 0 is from the client.
struct Pair {
    ends: [TcpStream; 2],
    flows: [Flow; 2],
    /// What epoll has been told of either end.
    interest: [EventFlags; 2],
}

#[derive(Default)]
struct Flow {
    /// Read, and not taken yet by the other end.
    held: Vec<u8>,
    ended: bool,
}

impl Pair {
    fn open(client: TcpStream, backend: SocketAddr) -> io::Result<Self> {
        let ends = [client, TcpStream::connect(backend)?];
        for end in &ends {
            end.set_nodelay(true)?;
            end.set_nonblocking(true)?;
        }
        Ok(Self { ends, flows: Default::default(), interest: [EventFlags::IN; 2] })
    }

    fn act(&mut self, end: usize, ready: EventFlags, buffer: &mut [u8]) -> io::Result<()> {
        let other = 1 - end;
        if ready.contains(EventFlags::OUT) {
            let held = std::mem::take(&mut self.flows[other].held);
            self.send(other, &held)?;
        }
        if !ready.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) || !self.flows[end].held.is_empty() {
            return Ok(());
        }
        match self.ends[end].read(buffer) {
            Ok(0) => {
                self.flows[end].ended = true;
                self.ends[other].shutdown(Shutdown::Write)
            }
            Ok(n) => self.send(end, &buffer[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// To the end that the flow does not come from; what it does not take is held.
    fn send(&mut self, flow: usize, bytes: &[u8]) -> io::Result<()> {
        let taken = match self.ends[1 - flow].write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            written => written?,
        };
        self.flows[flow].held.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Tells epoll what is waited for, where that is something else than before.
    fn watch(&mut self, epoll: &OwnedFd, place: usize) -> io::Result<()> {
        for end in 0..2 {
            let mut interest = EventFlags::empty();
            interest.set(EventFlags::IN, !self.flows[end].ended && self.flows[end].held.is_empty());
            interest.set(EventFlags::OUT, !self.flows[1 - end].held.is_empty());
            if interest != self.interest[end] {
                self.interest[end] = interest;
                epoll::modify(epoll, &self.ends[end], EventData::new_u64((place * 2 + end) as u64), interest)?;
            }
        }
        Ok(())
    }
}
