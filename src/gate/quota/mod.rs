//! Counted budgets: how many calls may pass in a window. A budget of N admits N: over all workers and processes, through
//! restarts and crashes, and exactly N when more than N come.
//!
//! [`lease`] is how workers share one budget, over the words of [`memory`] that [`map`] lays out and [`word`] reads.
//!
//! [`daily`] is the quota of a group's default domain, counted one by one: its budget is small, and its calls are a
//! developer's. Traffic control policies, whose budgets are large and hot, count in leases and stand beside it.

pub mod bucket;
pub mod daily;
pub mod lease;
pub mod map;
pub mod memory;
pub mod table;
pub mod window;
pub mod word;

#[cfg(test)]
mod model;
