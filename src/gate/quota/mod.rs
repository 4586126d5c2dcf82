//! Counted budgets: how many calls may pass in a window. A budget of N admits N, over all workers.
//!
//! [`daily`] is the quota of a group's default domain, counted one by one: its budget is small, and its calls are a
//! developer's. Traffic control policies, whose budgets are large and hot, count in leases and stand beside it.

pub mod daily;
