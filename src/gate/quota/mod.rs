//! Counted budgets: how many calls may pass in a window. A budget of N admits N: over all workers and processes, through
//! restarts and crashes, and exactly N when more than N come.
//!
//! [`quotas`] is what a process holds of the counters, [`want`] what a call needs of them. [`lease`] is how workers share one
//! budget, [`allowance`] how nodes of a cluster do, over the words of [`memory`] that [`map`] lays out, [`table`] finds and [`word`] reads; [`bucket`] is the other
//! kind of budget, so many a second, where calls wait their turn; [`turn`] is how nodes share that. [`look`] is for those who look at counters from outside.

pub mod allowance;
pub mod bucket;
pub mod lease;
pub mod look;
pub mod map;
pub mod memory;
pub mod quotas;
pub mod table;
pub mod turn;
pub mod want;
pub mod window;
pub mod word;

#[cfg(test)]
mod model;

pub use lease::Lessee;
pub use quotas::Quotas;
pub use want::{Budget, Take, Want, Wants};
