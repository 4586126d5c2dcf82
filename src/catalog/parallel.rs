//! Work on many things at once, on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Things that a thread takes at a time.
const TAKEN_AT_ONCE: usize = 8;
/// Fewer are not worth a thread.
const WORTH_A_THREAD: usize = 32;

/// What `work` makes of each, in their order. `done` hears how many are done, now and then.
pub fn each<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync, done: impl Fn(usize)) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(things.len() / WORTH_A_THREAD);
    if threads < 2 {
        return things.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    // Threads add their results to lists of their own; lists are put in order by the place of their first thing.
    let take = |after: &dyn Fn(usize)| {
        let mut made = Vec::new();
        loop {
            let from = next.fetch_add(TAKEN_AT_ONCE, Ordering::Relaxed);
            let Some(taken) = things.get(from..things.len().min(from + TAKEN_AT_ONCE)).filter(|taken| !taken.is_empty()) else {
                return made;
            };
            made.push((from, taken.iter().map(&work).collect::<Vec<R>>()));
            after(from);
        }
    };
    let mut made = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| take(&|_| ()))).collect();
        let mut made = take(&done);
        for other in others {
            match other.join() {
                Ok(theirs) => made.extend(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        made
    });
    made.sort_unstable_by_key(|(from, _)| *from);
    made.into_iter().flat_map(|(_, results)| results).collect()
}

/// Two things at once that are each worth a thread.
pub fn both<A: Send, B>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        match one.join() {
            Ok(one) => (one, other),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn the_results_are_in_order_however_many_there_are() {
        for count in [0, 1, 31, 64, 1000, 4097] {
            let things: Vec<usize> = (0..count).collect();
            assert_eq!(each(&things, |thing| thing * 2, |_| ()), things.iter().map(|thing| thing * 2).collect::<Vec<_>>());
        }
    }
}
