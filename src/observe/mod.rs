//! What the gateway tells of itself: one access log line a request, metrics, its status, and what it does.
//!
//! [`counters`] are the cells that each worker writes, [`metric`] the list of what is shown of them.

pub mod access_log;
pub mod counters;
pub mod event;
pub mod exposition;
pub mod histogram;
pub mod http2;
pub mod log;
pub mod metric;
pub mod record;
pub mod series;
pub mod status;
