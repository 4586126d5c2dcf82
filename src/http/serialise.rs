//! Heads as they go out: written once, in one pass, into a buffer of fixed size.

/// A cursor over a fixed buffer. Writing past its end sets `overflow` and keeps nothing more, so that callers check
/// once, at the end, with [`HeadWriter::finish`].
pub struct HeadWriter<'a> {
    buffer: &'a mut [u8],
    len: usize,
    overflow: bool,
}

impl<'a> HeadWriter<'a> {
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0, overflow: false }
    }

    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end > self.buffer.len() {
            self.overflow = true;
            return;
        }
        self.buffer[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    /// One field line: `name: value` and its line end.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.bytes(name);
        self.bytes(b": ");
        self.bytes(value);
        self.bytes(b"\r\n");
    }

    /// A decimal number.
    pub fn number(&mut self, n: u64) {
        let mut digits = itoa::Buffer::new();
        self.bytes(digits.format(n).as_bytes());
    }

    /// Bytes written, or `None` when the buffer was too small for them.
    pub fn finish(self) -> Option<usize> {
        (!self.overflow).then_some(self.len)
    }
}
