//! A call's way through intermediaries: by whom it has come (`Via`), and how far it may still go (`Max-Forwards`).

use super::{ErrorCode, Refusal};
use crate::http::field::{FieldId, trim};
use crate::http::head::RequestView;

/// Refuses a call that has been here before: `own` is among those that received it (RFC 9110, section 7.6.3).
pub fn no_loop(request: &RequestView<'_>, own: &[u8]) -> Result<(), Refusal> {
    if request.field(FieldId::Via).is_none() {
        return Ok(());
    }
    // `Via = #( received-protocol RWS received-by [ RWS comment ] )`
    let is_own = |element: &[u8]| {
        let mut words = element.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        words.nth(1).is_some_and(|received_by| received_by.eq_ignore_ascii_case(own))
    };
    let lines = request.fields().filter(|(id, ..)| *id == FieldId::Via);
    match lines.flat_map(|(_, _, value)| value.split(|&byte| byte == b',')).any(is_own) {
        true => Err(Refusal::new(ErrorCode::I508LD)),
        false => Ok(()),
    }
}

/// How often a call may still be passed on; `None`: as often as need be. `Max-Forwards` means something to `OPTIONS` alone,
/// as `TRACE` goes no further than here in any case (RFC 9110, section 7.6.2).
pub fn left(request: &RequestView<'_>) -> Option<u64> {
    if request.method() != b"OPTIONS" {
        return None;
    }
    let value = trim(request.field(FieldId::MaxForwards)?);
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // More than can be counted is as good as the largest number that can.
    Some(value.iter().fold(0u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

/// The call is to be answered and not passed on.
pub fn ends_here(request: &RequestView<'_>) -> bool {
    left(request) == Some(0)
}
