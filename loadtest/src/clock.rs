//! The clocks. The only module that reads them, as in the gateway (`clippy.toml` refuses `Instant::now` elsewhere).

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// For intervals. Read twice a request: its cost is the generator's, never the proxy's.
#[expect(clippy::disallowed_methods, reason = "this is the place the rule points to")]
pub fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970, as `X-Ca-Timestamp` has them. A clock before 1970 reads as 0.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
