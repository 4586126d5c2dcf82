//! Floods of HTTP/2: frames that cost little to send.

use lockgate_test_support::{Frame, fields_block};

use crate::attack::Attack;
use crate::rude::hold;

/// Of one connection, far beyond what is listened to.
const FRAMES: usize = 20_000;

/// What a client begins with, and what it goes on with.
fn begun(frames: &[Frame]) -> Vec<u8> {
    let settings = Frame::new(Frame::SETTINGS, 0, 0, []);
    let frames = [&[settings], frames].concat().iter().flat_map(Frame::bytes).collect::<Vec<_>>();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frames[..]].concat()
}

fn get(stream: u32) -> Frame {
    Frame::get(stream, "/flood")
}

fn post() -> Frame {
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/flood"), (":authority", "api.test")];
    Frame::new(Frame::HEADERS, Frame::END_HEADERS, 1, fields_block(&fields))
}

impl Attack<'_> {
    fn says_again_and_again(&self, beginning: &[Frame], frame: &Frame) {
        self.says(&[begun(beginning), frame.bytes().repeat(FRAMES)].concat());
    }

    pub fn rapid_reset(&self) {
        let cancel = |stream| Frame::new(Frame::RST_STREAM, 0, stream, [0, 0, 0, 8]);
        let frames: Vec<_> = (0..2000).flat_map(|n| [get(2 * n + 1), cancel(2 * n + 1)]).collect();
        self.says(&begun(&frames));
    }

    pub fn continuations(&self) {
        let mut head = get(1);
        head.flags = Frame::END_STREAM;
        self.says_again_and_again(&[head], &Frame::new(Frame::CONTINUATION, 0, 1, []));
    }

    pub fn settings(&self) {
        self.says_again_and_again(&[], &Frame::new(Frame::SETTINGS, 0, 0, [0, 4, 0, 0, 255, 255]));
    }

    pub fn pings(&self) {
        self.says_again_and_again(&[], &Frame::new(Frame::PING, 0, 0, [0; 8]));
    }

    pub fn empty_data(&self) {
        self.says_again_and_again(&[post()], &Frame::new(Frame::DATA, 0, 1, []));
    }

    pub fn grants(&self) {
        self.says_again_and_again(&[post()], &Frame::new(Frame::WINDOW_UPDATE, 0, 1, [0, 0, 0, 1]));
    }

    /// A field of 4 KB is put into the table, and named 10,000 times.
    pub fn header_bombs(&self) {
        let mut head = get(1);
        head.payload.extend_from_slice(&[0x40, 1, b'x', 127, 0xbd, 0x1d]);
        head.payload.extend_from_slice(&[b'v'; 3900]);
        head.payload.extend_from_slice(&[0x80 | 62; 10_000]);
        self.says(&begun(&[head]));
    }

    /// A field of one connection in each.
    pub fn malformed_heads(&self) {
        let malformed = |n: u32| {
            let mut head = get(2 * n + 1);
            head.payload.extend_from_slice(b"\x00\x02te\x04gzip");
            head
        };
        self.says(&begun(&(0..2000).map(malformed).collect::<Vec<_>>()));
    }

    /// They ask for much, and grant no room for it.
    pub fn zero_windows(&self) {
        let settings = Frame::new(Frame::SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0]);
        let mut frames = vec![settings];
        frames.extend((0..20).map(|n| Frame::get(2 * n + 1, "/large")));
        hold(self.over, 5, || self.plain(), &begun(&frames), b"");
    }
}
