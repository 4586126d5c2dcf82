//! Version numbers and version files.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

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

/// What a version file says before its definition.
#[derive(Serialize)]
pub struct Head<'a> {
    pub version: &'a str,
    pub stage: &'a str,
    pub group: &'a str,
    pub api: &'a str,
    pub remarks: &'a str,
    pub published_by: &'a str,
    pub time: String,
    pub sha256: &'a str,
}

impl Head<'_> {
    /// The text of the version file; `canonical` is the definition.
    pub fn file(&self, canonical: &str) -> Result<String, toml::ser::Error> {
        Ok(format!("# Written by `lockgate publish`; never edited.\n{}\n{canonical}", toml::to_string(self)?))
    }
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
}
