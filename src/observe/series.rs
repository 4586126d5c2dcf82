//! Cells by name, bounded: one worker appends and writes, anyone reads, and no lock is taken.
//!
//! A name gets its cells when it is first met, so that of many names those in use have them. Names that come when all
//! places are taken share one set of cells. A place is kept for the life of the process: counts outlive a reload, and
//! no name is taken for another.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

#[derive(Debug)]
pub struct Series<const N: usize, C> {
    places: Box<[OnceLock<Box<Named<N, C>>>]>,
    /// Of names beyond the limit.
    pub other: C,
    /// For the owning worker alone.
    known: Mutex<HashMap<[String; N], Place>>,
}

#[derive(Debug)]
struct Named<const N: usize, C> {
    labels: [String; N],
    cells: C,
}

/// Where the cells of a name are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// The name has cells of its own.
    pub fn is_named(self) -> bool {
        self != Self::OTHER
    }

    const OTHER: Self = Self(u32::MAX);
}

impl<const N: usize, C: Default> Series<N, C> {
    pub fn new(limit: usize) -> Self {
        Self { places: (0..limit).map(|_| OnceLock::new()).collect(), other: C::default(), known: Mutex::default() }
    }

    /// The place of a name, which is given one where it has none. Only the owning worker calls this; it may allocate.
    pub fn place(&self, labels: [&str; N]) -> Place {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = labels.map(str::to_owned);
        if let Some(place) = known.get(&labels) {
            return *place;
        }
        let place = known.len();
        match self.places.get(place) {
            Some(slot) => {
                _ = slot.set(Box::new(Named { labels: labels.clone(), cells: C::default() }));
                let place = Place(place as u32);
                known.insert(labels, place);
                place
            }
            // Not remembered: the names that may come are not bounded.
            None => Place::OTHER,
        }
    }

    #[inline]
    pub fn cells(&self, place: Place) -> &C {
        match self.places.get(place.0 as usize).and_then(OnceLock::get) {
            Some(named) => &named.cells,
            None => &self.other,
        }
    }

    /// Names with their cells, in the order in which they were met.
    pub fn iter(&self) -> impl Iterator<Item = (&[String; N], &C)> {
        self.places.iter().map_while(OnceLock::get).map(|named| (&named.labels, &named.cells))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::counters::Count;

    #[test]
    fn names_beyond_the_limit_share_their_cells() {
        let series = Series::<2, Count>::new(2);
        for (name, times) in [("a", 3), ("b", 2), ("c", 4), ("d", 5), ("a", 1)] {
            let place = series.place(["g", name]);
            assert_eq!(series.place(["g", name]), place);
            series.cells(place).add(times);
        }
        let named: Vec<_> = series.iter().map(|(labels, count)| (labels[1].as_str(), count.get())).collect();
        assert_eq!(named, [("a", 4), ("b", 2)]);
        assert_eq!(series.other.get(), 9);
    }

    #[test]
    fn a_limit_of_none_counts_all_together() {
        let series = Series::<1, Count>::new(0);
        series.cells(series.place(["a"])).add(2);
        assert_eq!((series.iter().count(), series.other.get()), (0, 2));
    }
}
