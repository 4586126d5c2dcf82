//! Where what lies in the memory that workers share.

/// Processes that may share the memory at one time: two during an upgrade, and one that drains for long.
pub const PROCESSES: usize = 4;
/// Workers of a process that have a seat, and with it a mark and leases of their own.
pub const WORKERS: usize = 256;
/// Leases of a worker at most.
pub const LEASES: usize = 1024;

/// Words of a cache line, so that what one worker writes often shares no line with what another does.
pub const LINE: usize = 8;
/// Keys of a bucket: one line.
pub const BUCKET: usize = LINE;
/// Words of a counter: one line.
pub const ENTRY: usize = LINE;

/// The parts, one after the other: how many workers each process has, their marks, their leases, and the table of
/// counters ([`super::table`]): homes, keys, entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Map {
    pub processes: usize,
    pub workers: usize,
    /// A power of two.
    pub leases: usize,
    pub buckets: usize,
}

impl Map {
    /// For `counters` at least, with room to spare, so that a counter finds a place near its home.
    pub fn new(counters: usize) -> Self {
        let buckets = (counters + counters / 2).div_ceil(BUCKET).max(8);
        Self { processes: PROCESSES, workers: WORKERS, leases: LEASES, buckets }
    }

    pub fn words(&self) -> usize {
        self.entries() + self.buckets * BUCKET * ENTRY
    }

    fn seats(&self) -> usize {
        self.processes * self.workers
    }

    pub fn seat(&self, process: usize, worker: usize) -> usize {
        process * self.workers + worker
    }

    /// The workers that a process has had at most.
    pub fn staff(&self, process: usize) -> usize {
        process * LINE
    }

    /// A worker's mark: whether units are in its hands.
    pub fn mark(&self, seat: usize) -> usize {
        (self.processes + seat) * LINE
    }

    /// The leases of a worker; a counter's is in the same place with every worker.
    pub fn lease(&self, seat: usize, counter: u64) -> usize {
        self.mark(self.seats()) + seat * self.leases + self.place(counter)
    }

    pub fn place(&self, counter: u64) -> usize {
        counter as usize & (self.leases - 1)
    }

    /// The lock of a bucket, and how far from it its counters lie.
    pub fn home(&self, bucket: usize) -> usize {
        self.lease(self.seats(), 0) + bucket
    }

    pub fn key(&self, slot: usize) -> usize {
        (self.home(self.buckets)).next_multiple_of(LINE) + slot
    }

    /// Places for counters.
    pub fn slots(&self) -> usize {
        self.buckets * BUCKET
    }

    /// Of the counter whose entry is there.
    pub fn key_of(&self, entry: usize) -> usize {
        self.key((entry - self.entries()) / ENTRY)
    }

    pub fn entry(&self, slot: usize) -> usize {
        self.entries() + slot * ENTRY
    }

    fn entries(&self) -> usize {
        self.key(self.buckets * BUCKET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_and_lines_are_whole() {
        let map = Map::new(1000);
        assert_eq!(map.mark(0), PROCESSES * LINE);
        assert_eq!(map.lease(0, 0), map.mark(PROCESSES * WORKERS));
        assert_eq!(map.lease(3, u64::MAX), map.lease(4, 0) - 1);
        assert_eq!(map.home(0), map.lease(PROCESSES * WORKERS, 0));
        assert!(map.key(0) >= map.home(map.buckets) && map.key(0).is_multiple_of(LINE));
        assert_eq!(map.entry(0), map.key(map.buckets * BUCKET));
        assert_eq!(map.key_of(map.entry(17)), map.key(17));
        assert_eq!(map.entry(map.buckets * BUCKET), map.words());
        assert!(map.buckets * BUCKET >= 1500);
    }

    #[test]
    fn a_million_counters_take_a_stated_room() {
        let bytes = 8 * Map::new(1_000_000).words();
        assert!(bytes < 118_500_000, "{bytes}");
    }
}
