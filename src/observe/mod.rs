//! What the gateway tells of itself: one access log line a request, metrics, and its status.
//!
//! [`counters`] are the cells that each worker writes, [`metric`] the list of what is shown of them.

pub mod access_log;
pub mod counters;
pub mod exposition;
pub mod histogram;
pub mod metric;
pub mod record;
pub mod series;
pub mod status;
