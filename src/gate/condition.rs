//! What conditions mean: are they true of a call?
//!
//! Values of a call are text, and a parameter that is missing is null. A text is compared with a number as the number that
//! it spells, with a truth value as `true` or `false`, and with a text byte by byte. Null equals null alone, and is neither
//! less nor greater than anything, nor in, like or within anything; `<>` with null is true of what is there.

use std::cmp::Ordering;
use std::net::IpAddr;

use crate::catalog::Condition;
use crate::catalog::condition::{Comparison, Constant, Operand};

/// Whether a condition is true; `value`: the value of a parameter by its place.
pub fn holds<'v>(condition: &'v Condition, value: &impl Fn(usize) -> Option<&'v [u8]>) -> bool {
    match condition {
        Condition::Any(list) => list.iter().any(|one| holds(one, value)),
        Condition::All(list) => list.iter().all(|one| holds(one, value)),
        Condition::Not(one) => !holds(one, value),
        Condition::Compare(left, comparison, right) => compare(of(left, value), *comparison, of(right, value)),
        Condition::In(left, list) => {
            let left = of(left, value);
            left != Value::Null && list.iter().any(|one| order(left, Value::of(one)) == Some(Ordering::Equal))
        }
        Condition::Like(left, pattern) => of(left, value).text().is_some_and(|text| is_like(text, pattern.as_bytes())),
        Condition::InCidr(left, network) => {
            let text = of(left, value).text().and_then(|text| std::str::from_utf8(text).ok());
            let address = text.and_then(|text| text.trim().parse::<IpAddr>().ok());
            address.is_some_and(|address| network.contains(&address.to_canonical()))
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Value<'v> {
    Null,
    Boolean(bool),
    Number(f64),
    Text(&'v [u8]),
}

impl<'v> Value<'v> {
    fn of(constant: &'v Constant) -> Self {
        match constant {
            Constant::Null => Self::Null,
            Constant::Boolean(is) => Self::Boolean(*is),
            Constant::Number(number) => Self::Number(*number),
            Constant::Text(text) => Self::Text(text.as_bytes()),
        }
    }

    fn text(self) -> Option<&'v [u8]> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

fn of<'v>(operand: &'v Operand, value: &impl Fn(usize) -> Option<&'v [u8]>) -> Value<'v> {
    match operand {
        Operand::Variable(place) => value(*place).map_or(Value::Null, Value::Text),
        Operand::Constant(constant) => Value::of(constant),
    }
}

fn compare(left: Value<'_>, comparison: Comparison, right: Value<'_>) -> bool {
    let has_null = left == Value::Null || right == Value::Null;
    match (comparison, order(left, right)) {
        (Comparison::Equal, order) => order == Some(Ordering::Equal),
        // Of null only where null is asked about by its name.
        (Comparison::NotEqual, order) if !has_null => order != Some(Ordering::Equal),
        (Comparison::NotEqual, _) => right == Value::Null && left != Value::Null,
        (Comparison::Less, Some(order)) => order.is_lt(),
        (Comparison::LessOrEqual, Some(order)) => order.is_le(),
        (Comparison::Greater, Some(order)) => order.is_gt(),
        (Comparison::GreaterOrEqual, Some(order)) => order.is_ge(),
        (_, None) => false,
    }
}

/// `None`: they have no order.
fn order(left: Value<'_>, right: Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(&right),
        (Value::Text(left), Value::Number(right)) => number(left)?.partial_cmp(&right),
        (Value::Number(left), Value::Text(right)) => left.partial_cmp(&number(right)?),
        (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(&right)),
        (Value::Text(left), Value::Boolean(right)) => Some(boolean(left)?.cmp(&right)),
        (Value::Boolean(left), Value::Text(right)) => Some(left.cmp(&boolean(right)?)),
        _ => None,
    }
}

fn number(text: &[u8]) -> Option<f64> {
    let plain = text.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.'));
    std::str::from_utf8(text).ok().filter(|_| plain)?.parse().ok()
}

fn boolean(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"true") {
        return Some(true);
    }
    text.eq_ignore_ascii_case(b"false").then_some(false)
}

/// `%` stands for any text, `_` for one byte. Goes back to the last `%` at most, so that no text takes longer than its length
/// times the pattern's.
fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    let (mut t, mut p) = (0, 0);
    let mut back = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'%') => {
                back = Some((t, p));
                p += 1;
            }
            Some(&wanted) if wanted == b'_' || wanted == byte => (t, p) = (t + 1, p + 1),
            _ => match back {
                Some((from, at)) => {
                    back = Some((from + 1, at));
                    (t, p) = (from + 1, at + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|&byte| byte == b'%')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Parameter;
    use crate::catalog::parameter::Location;

    /// Of `$A`, `$B` and `$None`.
    fn is(text: &str, a: &str, b: &str) -> bool {
        let parameters = ["A", "B", "None"].map(|name| Parameter { name: name.into(), location: Location::Method });
        let condition = Condition::parse(text, &parameters).unwrap_or_else(|bad| panic!("{text}: {bad:?}"));
        let values = [Some(a), Some(b), None];
        holds(&condition, &|place| values.get(place).copied().flatten().map(str::as_bytes))
    }

    #[test]
    fn texts_numbers_and_truth() {
        for text in [
            "$A = '10' and $B <> '10'",
            "$A = 10 and $A >= 10 and $A < 10.5 and 9 < $A",
            "$A < '9'",
            "$B = 'x' or $B = 'y'",
            "not $B = 'y'",
            "$B != 5",
            "$A in (7, 10) and $B in ('y', 'x') and $B !in ('y')",
            "true = true and $B <> true",
        ] {
            assert!(is(text, "10", "x"), "{text}");
        }
        for text in ["$B > 5", "$B < 5", "$A > '9'", "$A = 11", "$B in (5)"] {
            assert!(!is(text, "10", "x"), "{text}");
        }
        assert!(is("$A = true and $B = false", "TRUE", "false"));
        assert!(is("$A < '2.0.5'", "2.0.4", ""));
        assert!(!is("$A = 1", "1e0", "") && !is("$A > 0", "inf", ""), "what is not written as a number is none");
    }

    #[test]
    fn what_is_missing_is_null() {
        for text in ["$None = null", "$A <> null", "null != $A or $A != null", "not $None = 'x'", "not $None <> 'x'"] {
            assert!(is(text, "", "x"), "{text}");
        }
        for text in ["$None <> null", "$A = null", "$None <> 'x'", "$None < 'x'", "$None in (null)", "$None like '%'"] {
            assert!(!is(text, "", "x"), "{text}");
        }
        assert!(is("$A = ''", "", "x"), "empty is there");
    }

    #[test]
    fn likeness() {
        for (pattern, text, like) in [
            ("x%", "xyz", true),
            ("x%", "yx", false),
            ("%", "", true),
            ("%b%d", "abcbcd", true),
            ("%b%d", "abcbce", false),
            ("a_c", "abc", true),
            ("a_c", "ac", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(is(&format!("$A like '{pattern}'"), text, ""), like, "{text} like {pattern}");
        }
        let long = "a".repeat(10_000);
        assert!(!is("$A like '%a%a%a%a%a%a%b'", &long, ""));
    }

    #[test]
    fn networks() {
        assert!(is("$A in_cidr '10.0.0.0/8' and $B in_cidr '2001:db8::/32'", "10.1.2.3", "2001:db8::1"));
        assert!(is("$A in_cidr '10.1.2.3' and $A !in_cidr '10.1.2.4'", "::ffff:10.1.2.3", ""));
        assert!(!is("$A in_cidr '10.0.0.0/8'", "10.1.2", ""));
        assert!(is("$A !in_cidr '10.0.0.0/8'", "unknown", ""));
    }
}
