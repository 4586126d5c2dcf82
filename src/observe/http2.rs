//! What a worker counts of HTTP/2.

use super::counters::Count;

/// Names of error codes (RFC 9113, section 7), by code.
pub const CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// Codes of what ends well, is told by a line in the access log, or asks to come again.
const USUAL: [&str; 4] = ["NO_ERROR", "INTERNAL_ERROR", "REFUSED_STREAM", "CANCEL"];

#[derive(Debug, Default)]
pub struct Http2Counters {
    /// Client connections that speak it.
    pub connections: Count,
    /// Requests that came by them.
    pub requests: Count,
    /// Streams that their client had reset before anything was done for them.
    pub given_up: Count,
    /// Connections ended because of what they flooded us with.
    pub floods: Count,
    /// Streams of clients that were reset, and connections of clients that were told to go, by code.
    pub resets: [Count; CODES.len()],
    pub goaways: [Count; CODES.len()],
}

impl Http2Counters {
    pub fn reset(&self, code: u32) {
        count(&self.resets, code);
    }

    pub fn goaway(&self, code: u32) {
        count(&self.goaways, code);
    }

    /// Streams and connections that ended because the client had broken a rule.
    pub fn refused(&self) -> u64 {
        let all = CODES.iter().cycle().zip(self.resets.iter().chain(&self.goaways));
        all.filter(|(code, _)| !USUAL.contains(code)).map(|(_, count)| count.get()).sum()
    }
}

fn count(counts: &[Count], code: u32) {
    usize::try_from(code).ok().and_then(|code| counts.get(code)).into_iter().for_each(|count| count.add(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_is_no_refusal() {
        let counters = Http2Counters::default();
        (0..20).for_each(|code| counters.reset(code));
        (0..20).for_each(|code| counters.goaway(code));
        assert_eq!(counters.refused(), 2 * 10);
        assert_eq!(counters.goaways[11].get(), 1);
    }
}
