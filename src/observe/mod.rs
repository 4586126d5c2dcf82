//! What the gateway tells of itself: one access log line a request, and counters.

pub mod access_log;
pub mod counters;
pub mod record;
pub mod status;
