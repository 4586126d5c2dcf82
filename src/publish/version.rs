//! Version numbers and version files.

use std::fmt::Write;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const FORMAT: &str = "%Y%m%d%H%M%S";

/// A version number for `now`: UTC, `yyyyMMddHHmmssSSS`. Always above `last`, even when the clock is not.
pub fn number(now: Timestamp, last: &str) -> String {
    let now = format(now);
    match parse(last) {
        Some(time) if now.as_str() <= last => format(time.saturating_add(SignedDuration::from_millis(1)).unwrap_or(time)),
        _ => now,
    }
}

fn format(time: Timestamp) -> String {
    let time = time.to_zoned(TimeZone::UTC).datetime();
    format!("{}{:03}", time.strftime(FORMAT), time.millisecond())
}

fn parse(version: &str) -> Option<Timestamp> {
    let (seconds, milliseconds) = version.split_at_checked(14)?;
    let time = DateTime::strptime(FORMAT, seconds).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let milliseconds: i64 = milliseconds.parse().ok().filter(|_| milliseconds.len() == 3)?;
    time.checked_add(SignedDuration::from_millis(milliseconds)).ok()
}

/// 17 digits.
pub fn is_version(text: &str) -> bool {
    text.len() == 17 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a version file says before its definition.
pub struct Head<'a> {
    pub version: &'a str,
    pub stage: &'a str,
    pub group: &'a str,
    pub api: &'a str,
    pub remarks: &'a str,
    pub published_by: &'a str,
    pub time: &'a str,
    pub sha256: &'a str,
}

impl Head<'_> {
    /// The text of the version file; `canonical` is the definition.
    pub fn file(&self, canonical: &str) -> String {
        let mut text = String::from("# Written by `lockgate publish`; never edited.\n");
        let lines = [
            ("version", self.version),
            ("stage", self.stage),
            ("group", self.group),
            ("api", self.api),
            ("remarks", self.remarks),
            ("published_by", self.published_by),
            ("time", self.time),
            ("sha256", self.sha256),
        ];
        for (key, value) in lines {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{key} = {}", quoted(value));
        }
        text.push('\n');
        text.push_str(canonical);
        text
    }
}

/// A TOML string of one line, whatever the text: nothing in it can look like a line of the file.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        let _ = match character {
            '"' | '\\' => write!(quoted, "\\{character}"),
            control if control.is_control() => write!(quoted, "\\u{:04x}", u32::from(control)),
            other => write!(quoted, "{other}"),
        };
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_grow_even_when_the_clock_does_not() {
        let noon: Timestamp = "2026-01-02T12:00:00.5Z".parse().unwrap();
        assert_eq!(number(noon, ""), "20260102120000500");
        assert_eq!(number(noon, "20260102115959999"), "20260102120000500");
        assert_eq!(number(noon, "20260102120000500"), "20260102120000501");
        assert_eq!(number(noon, "20261231235959999"), "20270101000000000");
    }

    #[test]
    fn a_text_stays_on_its_line() {
        let text = "say \"a\\b\"\n[definition]\r\t\u{7f}\u{85}é";
        let line = format!("remarks = {}", quoted(text));
        assert_eq!(line.lines().count(), 1);
        assert_eq!(toml::from_str::<toml::Table>(&line).unwrap()["remarks"].as_str(), Some(text));
    }
}
