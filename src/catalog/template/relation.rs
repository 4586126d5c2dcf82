//! How two path templates stand to each other: which paths both match, and which of them decides there.

use std::cmp::Ordering;

use super::super::{PathTemplate, Segment};

/// Two templates that match a path in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// Every path that one of them matches, the other matches too; the same paths, if both do.
    Nested,
    /// Each matches paths that the other does not: neither is the more specific one.
    Crossing {
        /// The first decides where both match: in the leftmost segment that differs it has the literal, or has `[param]`
        /// where the other has `*`.
        first_decides: bool,
    },
}

impl PathTemplate {
    /// `None`: no path matches both.
    pub fn overlap(&self, other: &Self) -> Option<Overlap> {
        self.common_path(other)?;
        if covers(&self.segments, &other.segments, true) || covers(&other.segments, &self.segments, true) {
            return Some(Overlap::Nested);
        }
        let order = self.segments.iter().zip(&other.segments).map(|(a, b)| rank(a).cmp(&rank(b)));
        let first_decides = order.into_iter().find(|order| order.is_ne()) == Some(Ordering::Less);
        Some(Overlap::Crossing { first_decides })
    }

    /// A path that both match, if there is one, decoded.
    pub fn common_path(&self, other: &Self) -> Option<String> {
        let mut path = String::new();
        common(&self.segments, &other.segments, true, &mut path).then(|| if path.is_empty() { "/".to_owned() } else { path })
    }
}

/// As the router searches: literals, then parameters, then the rest.
fn rank(segment: &Segment) -> u8 {
    match segment {
        Segment::Literal(_) => 0,
        Segment::Parameter(_) => 1,
        Segment::Rest => 2,
    }
}

/// A parameter stands for one segment that is not empty. (It does not stand for dot segments either; no literal is one.)
fn may_be_value(literal: &str) -> bool {
    !literal.is_empty()
}

/// `at_root`: nothing of the path is matched yet. There `/` is a path without segments, which `/*` matches too.
fn common(one: &[Segment], other: &[Segment], at_root: bool, path: &mut String) -> bool {
    match (one, other) {
        ([], []) => true,
        ([Segment::Rest], []) | ([], [Segment::Rest]) => at_root,
        ([], _) | (_, []) => false,
        ([Segment::Rest], rest) | (rest, [Segment::Rest]) => {
            for segment in rest {
                path.push('/');
                match segment {
                    Segment::Literal(text) => path.push_str(text),
                    Segment::Parameter(name) => path.push_str(name),
                    Segment::Rest => {}
                }
            }
            true
        }
        ([first, one @ ..], [second, other @ ..]) => {
            let shared = match (first, second) {
                (Segment::Literal(a), Segment::Literal(b)) => (a == b).then_some(a),
                (Segment::Literal(text), Segment::Parameter(_)) | (Segment::Parameter(_), Segment::Literal(text)) => {
                    may_be_value(text).then_some(text)
                }
                (Segment::Parameter(name), Segment::Parameter(_)) => Some(name),
                // `*` is the last segment of a template, and was met above.
                (Segment::Rest, _) | (_, Segment::Rest) => None,
            };
            let Some(text) = shared else { return false };
            path.push('/');
            path.push_str(text);
            common(one, other, false, path)
        }
    }
}

/// Whatever `specific` matches, `general` matches.
fn covers(general: &[Segment], specific: &[Segment], at_root: bool) -> bool {
    match (general, specific) {
        ([], []) => true,
        ([Segment::Rest], []) => at_root,
        ([Segment::Rest], _) => true,
        ([Segment::Parameter(_), general @ ..], [Segment::Parameter(_), specific @ ..]) => covers(general, specific, false),
        ([Segment::Parameter(_), general @ ..], [Segment::Literal(text), specific @ ..]) => {
            may_be_value(text) && covers(general, specific, false)
        }
        ([Segment::Literal(a), general @ ..], [Segment::Literal(b), specific @ ..]) => a == b && covers(general, specific, false),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(one: &str, other: &str) -> Option<Overlap> {
        PathTemplate::parse(one).unwrap().overlap(&PathTemplate::parse(other).unwrap())
    }

    #[test]
    fn nested_templates_are_told_from_crossing_ones() {
        for (one, other) in
            [("/a", "/[x]"), ("/a/[x]", "/a/*"), ("/*", "/"), ("/[x]/[y]", "/[x]/b"), ("/a/*", "/*"), ("/a", "/a")]
        {
            assert_eq!(overlap(one, other), Some(Overlap::Nested), "{one} {other}");
            assert_eq!(overlap(other, one), Some(Overlap::Nested), "{other} {one}");
        }
        for (one, other) in [("/a/[x]", "/[y]/b"), ("/a/*", "/[x]/b"), ("/a/[x]/c", "/a/b/*")] {
            let first_decides = !other.starts_with("/a/b");
            assert_eq!(overlap(one, other), Some(Overlap::Crossing { first_decides }), "{one} {other}");
            assert_eq!(overlap(other, one), Some(Overlap::Crossing { first_decides: !first_decides }), "{other} {one}");
        }
    }

    #[test]
    fn templates_without_a_path_in_common_do_not_overlap() {
        for (one, other) in
            [("/a", "/b"), ("/a", "/a/b"), ("/a/", "/a/[x]"), ("/files/*", "/files"), ("/[x]/a", "/[x]/b"), ("/", "/a")]
        {
            assert_eq!(overlap(one, other), None, "{one} {other}");
        }
    }

    #[test]
    fn a_path_that_both_match_is_shown() {
        let common = |one: &str, other: &str| PathTemplate::parse(one).unwrap().common_path(&PathTemplate::parse(other).unwrap());
        assert_eq!(common("/a/[x]", "/[y]/b").as_deref(), Some("/a/b"));
        assert_eq!(common("/a/*", "/[x]/b/[c]").as_deref(), Some("/a/b/c"));
        assert_eq!(common("/*", "/").as_deref(), Some("/"));
    }
}
