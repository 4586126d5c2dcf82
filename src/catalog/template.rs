//! Path templates: `/user/[id]`, `/files/*`.

mod relation;

use std::fmt::Write;

use super::{PathTemplate, Segment};
pub use relation::Overlap;

/// Segments of a path template at most.
const SEGMENTS: usize = 64;

impl PathTemplate {
    /// Reads a template. The error says what is wrong with it, in words for the person who wrote it.
    ///
    /// A template that ends with `/` has an empty last literal; `/` itself has no segment.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else { return Err("a path starts with `/`".to_owned()) };
        let mut segments: Vec<Segment> = Vec::new();
        if rest.is_empty() {
            return Ok(Self { segments });
        }
        let count = rest.split('/').count();
        if count > SEGMENTS {
            return Err(format!("a path has at most {SEGMENTS} segments"));
        }
        for (index, part) in rest.split('/').enumerate() {
            let last = index + 1 == count;
            let segment = segment(part, last)?;
            if let Segment::Parameter(name) = &segment
                && segments.iter().any(|other| matches!(other, Segment::Parameter(taken) if taken == name))
            {
                return Err(format!("the parameter `[{name}]` appears twice"));
            }
            segments.push(segment);
        }
        Ok(Self { segments })
    }

    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The template ends with `*`.
    pub fn has_rest(&self) -> bool {
        self.segments.last() == Some(&Segment::Rest)
    }

    /// Two templates of the same shape match the same paths: names of parameters make no difference.
    pub fn shape(&self) -> String {
        let mut shape = String::new();
        for segment in &self.segments {
            // Lengths keep a literal apart from anything that looks like it.
            let _ = match segment {
                Segment::Literal(text) => write!(shape, "/={}:{text}", text.len()),
                Segment::Parameter(_) => write!(shape, "/[]"),
                Segment::Rest => write!(shape, "/*"),
            };
        }
        shape
    }
}

fn segment(part: &str, last: bool) -> Result<Segment, String> {
    match part {
        "*" if last => return Ok(Segment::Rest),
        "*" => return Err("`*` stands for the rest of a path, so it is its last segment".to_owned()),
        "" if !last => return Err("a path has no empty segments (`//`)".to_owned()),
        _ => {}
    }
    if let Some(name) = part.strip_prefix('[').and_then(|part| part.strip_suffix(']')) {
        return match parameter_name(name) {
            true => Ok(Segment::Parameter(name.to_owned())),
            false => Err(format!(
                "`[{name}]` is not a parameter: a name has letters, digits, `_` and `-`, and begins with a letter or `_`"
            )),
        };
    }
    literal(part).map(Segment::Literal)
}

fn parameter_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        && name.len() <= 64
}

/// A literal segment, percent-decoded.
fn literal(part: &str) -> Result<String, String> {
    if let Some(wrong) = part.chars().find(|c| c.is_control() || c.is_whitespace() || "[]*?#\"<>\\^`{|}".contains(*c)) {
        return Err(match wrong {
            '[' | ']' => "a parameter is a whole segment: `/[name]/`".to_owned(),
            '*' => "`*` is a whole segment, the last: `/files/*`".to_owned(),
            '?' => "a path has no query".to_owned(),
            other => format!("a path cannot have {other:?}"),
        });
    }
    let decoded = percent_decode(part)?;
    if decoded == "." || decoded == ".." {
        return Err("a path has no `.` and `..` segments".to_owned());
    }
    if decoded.bytes().any(|byte| byte == b'/' || byte.is_ascii_control()) {
        return Err("a segment cannot stand for `/` or a control character (`%2F`, `%00`)".to_owned());
    }
    Ok(decoded)
}

fn percent_decode(part: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => return Err("`%` begins an escape of two hexadecimal digits".to_owned()),
        }
    }
    String::from_utf8(bytes).map_err(|_| "the escapes of a path spell UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_read() {
        let parse = |text: &str| PathTemplate::parse(text).map(|template| template.segments);
        let literal = |text: &str| Segment::Literal(text.to_owned());
        assert_eq!(parse("/"), Ok(vec![]));
        assert_eq!(parse("/nginx"), Ok(vec![literal("nginx")]));
        assert_eq!(parse("/user/[id]"), Ok(vec![literal("user"), Segment::Parameter("id".to_owned())]));
        assert_eq!(parse("/files/*"), Ok(vec![literal("files"), Segment::Rest]));
        assert_eq!(parse("/*"), Ok(vec![Segment::Rest]));
        assert_eq!(parse("/a/"), Ok(vec![literal("a"), literal("")]));
        assert_eq!(parse("/caf%C3%A9"), Ok(vec![literal("café")]));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        let wrong = [
            "", "a", "//", "/a//b", "/*/a", "/a*", "/[id", "/a[id]", "/[]", "/[1a]", "/[a]/[a]", "/..", "/%2e", "/%2F", "/%zz",
            "/%", "/%ff", "/a b", "/a?b", "/a#b",
        ];
        for text in wrong {
            assert!(PathTemplate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shapes_ignore_names_and_nothing_else() {
        let shape = |text: &str| PathTemplate::parse(text).map(|template| template.shape());
        assert_eq!(shape("/a/[x]"), shape("/a/[y]"));
        assert_ne!(shape("/a/[x]"), shape("/a/*"));
        assert_ne!(shape("/a/b"), shape("/a/[b]"));
        assert_ne!(shape("/a/"), shape("/a"));
    }
}
