//! Buffers of a worker: fixed blocks, owned by whoever holds them, given to the kernel for the time of an operation.
//!
//! A block that received is the block that sends: [`Block::start`] and [`Block::end`] bound what is in it, and room
//! is kept free before the bytes of a backend's answer so that a new head can be put in front of a body in place.

use std::cell::RefCell;
use std::ops::Range;

use monoio::buf::{IoBuf, IoBufMut, IoVecBuf};

/// Room of a small block, in bytes: for a body of 16 KiB with its head, and what is kept free before it. Not a power of two,
/// so that blocks do not fall on the same cache sets.
pub const SMALL_BYTES: usize = 18 * 1024 + 320;
/// Room of a large block, for bodies that keep filling small ones.
pub const LARGE_BYTES: usize = 128 * 1024 + 320;
/// Small blocks a worker keeps for later.
const SMALL_KEPT: usize = 4096;
/// Large blocks a worker keeps for later.
const LARGE_KEPT: usize = 64;

/// A buffer and the range of it that is in use.
#[derive(Debug)]
pub struct Block {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

/// The bounds a block had before [`Block::window`].
pub struct Bounds {
    start: usize,
    end: usize,
}

impl Block {
    pub fn with_room(room: usize) -> Self {
        Self { bytes: vec![0; room].into_boxed_slice(), start: 0, end: 0 }
    }
    /// A block that holds these bytes, and is theirs.
    pub fn of(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self { bytes: bytes.into_boxed_slice(), start: 0, end }
    }

    /// The bytes in use.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }
    pub fn len(&self) -> usize {
        self.end - self.start
    }
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
    /// Room behind the bytes in use.
    pub fn room(&self) -> usize {
        self.bytes.len() - self.end
    }
    /// Room before the bytes in use.
    pub fn headroom(&self) -> usize {
        self.start
    }
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_small(&self) -> bool {
        self.capacity() == SMALL_BYTES
    }

    /// Empties the block, leaving `headroom` bytes free before what comes next.
    pub fn clear(&mut self, headroom: usize) {
        self.start = headroom.min(self.bytes.len());
        self.end = self.start;
    }
    /// Narrows the bytes in use to `range`, counted from their start.
    pub fn narrow(&mut self, range: Range<usize>) {
        let start = self.start;
        self.start = (start + range.start).min(self.end);
        self.end = (start + range.end).clamp(self.start, self.end);
    }
    /// Narrows the bytes in use to `range`; [`Block::restore`] undoes it.
    pub fn window(&mut self, range: Range<usize>) -> Bounds {
        let whole = Bounds { start: self.start, end: self.end };
        self.narrow(range);
        whole
    }
    pub fn restore(&mut self, whole: Bounds) {
        (self.start, self.end) = (whole.start, whole.end);
    }
    /// Drops bytes from the front.
    pub fn advance(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }
    /// Takes back bytes that [`Block::advance`] dropped.
    pub(super) fn retreat(&mut self, n: usize) {
        self.start = self.start.saturating_sub(n);
    }
    /// Puts `bytes` before those in use; false, and nothing done, where there is no room.
    pub fn prepend(&mut self, bytes: &[u8]) -> bool {
        let Some(start) = self.start.checked_sub(bytes.len()) else { return false };
        self.bytes[start..self.start].copy_from_slice(bytes);
        self.start = start;
        true
    }
    /// Puts `bytes` behind those in use; false, and nothing done, where there is no room.
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.room() {
            return false;
        }
        self.bytes[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
        true
    }
    /// Lets `write` fill the room behind the bytes in use; it returns how much it wrote, or `None` when that was too little.
    pub fn fill_with(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
        match write(&mut self.bytes[self.end..]) {
            Some(n) => {
                self.end = (self.end + n).min(self.bytes.len());
                true
            }
            None => false,
        }
    }
    /// Widens the range in use over the room before and behind it; `None`, and nothing done, where there is too little.
    pub(super) fn widen(&mut self, before: usize, behind: usize) -> Option<&mut [u8]> {
        let start = self.start.checked_sub(before)?;
        if behind > self.room() {
            return None;
        }
        (self.start, self.end) = (start, self.end + behind);
        Some(self.filled_mut())
    }
    /// The bytes in use move down by `n`, over what is before them, and those behind `at` end the range no more.
    pub(super) fn take(&mut self, from: Range<usize>, to: usize) {
        let (from, to) = (self.start + from.start..self.start + from.end, self.start + to);
        let end = to + from.len();
        self.bytes.copy_within(from, to);
        self.end = end;
    }
    /// Moves the bytes in use down, so that only `headroom` bytes are free before them.
    pub(super) fn lower(&mut self, headroom: usize) {
        self.bytes.copy_within(self.start..self.end, headroom);
        self.end -= self.start - headroom;
        self.start = headroom;
    }
}

/// A block lent to the kernel to receive into the room behind its bytes.
pub(super) struct Receiving(pub(super) Block);

/// A block lent to the kernel to send its bytes.
pub(super) struct Sending(pub(super) Block);

/// Two blocks lent to the kernel to be sent one after the other.
pub(super) struct SendingTwo {
    pub(super) blocks: [Block; 2],
    pub(super) vectors: Box<Vectors>,
}

/// What a gathering send points the kernel at. On the heap: the kernel reads it when the ring is submitted, after the
/// operation that holds it has moved.
pub(super) type Vectors = [libc::iovec; 2];

// SAFETY: a block's bytes are on the heap and do not move with it; the range given lies within them.
unsafe impl IoBuf for Sending {
    fn read_ptr(&self) -> *const u8 {
        self.0.filled().as_ptr()
    }
    fn bytes_init(&self) -> usize {
        self.0.len()
    }
}

// SAFETY: as above; the room behind `end` is exclusively this block's, and `set_init` only admits what lies within it.
unsafe impl IoBufMut for Receiving {
    fn write_ptr(&mut self) -> *mut u8 {
        let end = self.0.end;
        self.0.bytes[end..].as_mut_ptr()
    }
    fn bytes_total(&mut self) -> usize {
        self.0.room()
    }
    // SAFETY: of the trait's callers it is asked that `n` bytes were written; the bound is kept here whatever they do.
    unsafe fn set_init(&mut self, n: usize) {
        self.0.end = (self.0.end + n).min(self.0.bytes.len());
    }
}

impl SendingTwo {
    pub(super) fn new(first: Block, second: Block, spare: Option<Box<Vectors>>) -> Self {
        let point = |b: &Block| libc::iovec { iov_base: b.filled().as_ptr().cast_mut().cast(), iov_len: b.len() };
        let to = [point(&first), point(&second)];
        let mut vectors = spare.unwrap_or_else(|| Box::new(to));
        *vectors = to;
        Self { blocks: [first, second], vectors }
    }
}

// SAFETY: the vectors are on the heap and point into the two blocks' heap bytes; all of them live and stay in place as
// long as `self`, wherever it moves.
unsafe impl IoVecBuf for SendingTwo {
    fn read_iovec_ptr(&self) -> *const libc::iovec {
        self.vectors.as_ptr()
    }
    fn read_iovec_len(&self) -> usize {
        2
    }
}

/// A worker's free blocks, last in, first out, so that the warmest is used first.
#[derive(Default)]
pub struct Blocks {
    small: RefCell<Vec<Block>>,
    large: RefCell<Vec<Block>>,
}

impl Blocks {
    pub fn small(&self) -> Block {
        self.small.borrow_mut().pop().unwrap_or_else(|| Block::with_room(SMALL_BYTES))
    }
    pub fn large(&self) -> Block {
        self.large.borrow_mut().pop().unwrap_or_else(|| Block::with_room(LARGE_BYTES))
    }
    /// After a block that a receive has filled, a large one; otherwise the same.
    pub fn grown(&self, block: Block) -> Block {
        if block.room() > 0 || block.capacity() >= LARGE_BYTES {
            return block;
        }
        self.put(block);
        self.large()
    }
    /// A larger block with the same bytes behind `headroom`.
    pub fn enlarged(&self, block: Block, headroom: usize) -> Block {
        let mut larger = if block.capacity() < LARGE_BYTES { self.large() } else { Block::with_room(block.capacity() * 2) };
        larger.clear(headroom);
        larger.append(block.filled());
        self.put(block);
        larger
    }
    /// Puts `parts` behind the block's bytes, in a larger block where there is no room.
    pub fn append_all(&self, mut block: Block, parts: [&[u8]; 3]) -> Block {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        while block.room() < len {
            let headroom = block.headroom();
            block = self.enlarged(block, headroom);
        }
        for part in parts {
            block.append(part);
        }
        block
    }
    /// Makes room behind the block's bytes: they move down to `headroom` where they stand above it, or into a larger
    /// block.
    pub fn with_room(&self, mut block: Block, headroom: usize) -> Block {
        if block.headroom() > headroom {
            block.lower(headroom);
        }
        if block.room() > 0 { block } else { self.enlarged(block, headroom) }
    }
    /// Takes the bytes from `at` on into a block of their own, if there are any.
    pub fn split_off(&self, block: &mut Block, at: usize) -> Option<Block> {
        if at >= block.len() {
            return None;
        }
        let mut rest = if block.len() - at <= SMALL_BYTES { self.small() } else { self.large() };
        rest.append(&block.filled()[at..]);
        block.narrow(0..at);
        Some(rest)
    }
    /// Gives a block back. Blocks of any other size, and those beyond what is kept, are freed.
    pub fn put(&self, mut block: Block) {
        block.clear(0);
        let (list, kept) = match block.capacity() {
            SMALL_BYTES => (&self.small, SMALL_KEPT),
            LARGE_BYTES => (&self.large, LARGE_KEPT),
            _ => return,
        };
        let mut list = list.borrow_mut();
        if list.len() < kept {
            list.push(block);
        }
    }
}
