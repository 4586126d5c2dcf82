//! The text of one file, read within a bound.

use std::borrow::Cow;
use std::fs::{Metadata, OpenOptions};
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Stamp;

/// A file's path, as messages show it, and its text.
#[derive(Debug)]
pub struct Source {
    pub path: PathBuf,
    pub text: String,
    /// In a document with secrets, the keys whose values may be shown.
    shown_keys: Option<&'static [&'static str]>,
}

impl Source {
    pub fn new(path: PathBuf, text: String, shown_keys: Option<&'static [&'static str]>) -> Arc<Self> {
        Arc::new(Self { path, text, shown_keys })
    }
}

impl Source {
    /// The text with every secret's bytes replaced, as messages show it. Lengths stay, so that places stay.
    pub fn shown(&self) -> Cow<'_, str> {
        let secrets = self.secrets();
        if secrets.is_empty() {
            return Cow::Borrowed(&self.text);
        }
        let mut shown = self.text.clone().into_bytes();
        for range in secrets {
            let bytes = shown.get_mut(range).into_iter().flatten();
            bytes.filter(|byte| !byte.is_ascii_whitespace()).for_each(|byte| *byte = b'*');
        }
        Cow::Owned(String::from_utf8(shown).unwrap_or_default())
    }

    /// Whether a secret stands at `at`.
    pub fn is_secret(&self, at: usize) -> bool {
        self.secrets().iter().any(|range| range.contains(&at))
    }

    /// What may hold a secret: every value whose key is not known to be harmless, for a secret's key may be misspelt.
    /// A value goes to the end of its line, or of its string of several lines.
    fn secrets(&self) -> Vec<Range<usize>> {
        let Some(shown_keys) = self.shown_keys else { return Vec::new() };
        let mut ranges = Vec::new();
        let mut at = 0;
        while let Some(rest) = self.text.get(at..).filter(|rest| !rest.is_empty()) {
            let line = rest.lines().next().unwrap_or_default();
            let (key, value) = line.split_once('=').map_or((line, ""), |(key, value)| (key.trim(), value));
            let harmless =
                key.is_empty() || key.starts_with(['#', '[', ']']) || (line.contains('=') && shown_keys.contains(&key));
            let mut end = line.len();
            if !harmless {
                let marks = ["\"\"\"", "'''"];
                let several = marks.into_iter().find_map(|mark| line.find(mark).map(|open| (open + mark.len(), mark)));
                if let Some((open, mark)) = several {
                    end = rest.get(open..).and_then(|text| text.find(mark)).map_or(rest.len(), |close| open + close).max(end);
                }
                let start = if value.is_empty() { 0 } else { line.len() - value.len() };
                ranges.push(at + start..at + end);
            }
            at += rest.get(end..).and_then(|text| text.find('\n')).map_or(rest.len(), |newline| end + newline + 1);
        }
        ranges
    }
}

/// The text of a regular file of at most `limit` bytes. The error says what is wrong, in words.
pub fn read_text(path: &Path, limit: u64) -> Result<String, String> {
    text(read_bytes(path, limit).1?)
}

/// Bytes of a file as a text.
pub(super) fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(valid).filter(|&&byte| byte == b'\n').count() + 1;
        format!("this file is not UTF-8: the first byte that is not is on line {line} (byte {valid} of the file)")
    })
}

/// The bytes of a regular file, at most `limit` of them, and how it looked before they were read. The error says what is
/// wrong, in words.
pub fn read_bytes(path: &Path, limit: u64) -> (Option<Stamp>, Result<Vec<u8>, String>) {
    let cannot = |error: std::io::Error| format!("this file cannot be read: {error}");
    // Without waiting: a FIFO is opened when it has a writer.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let (mut file, look) = match opened.and_then(|file| file.metadata().map(|look| (file, look))) {
        Ok(opened) => opened,
        Err(error) => {
            // A socket cannot be opened at all.
            let why = path.metadata().ok().and_then(|look| regular(&look).err());
            return (Stamp::of(path), Err(why.unwrap_or_else(|| cannot(error))));
        }
    };
    let stamp = Some(Stamp::from(&look));
    let mut read = || {
        regular(&look)?;
        // With room for one byte more, the end is found without growing.
        let mut bytes = Vec::with_capacity(look.len().min(limit) as usize + 1);
        file.by_ref().take(limit + 1).read_to_end(&mut bytes).map_err(cannot)?;
        match bytes.len() as u64 > limit {
            true => Err(format!("this file is longer than the {limit} bytes that it may have")),
            false => Ok(bytes),
        }
    };
    (stamp, read())
}

fn regular(metadata: &Metadata) -> Result<(), String> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err("this is not a regular file".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_and_places_stay() {
        let text = "app_key = \"1\"\napp_secret = \"hush\" # hush\napp_code_file = \"f\"\napp_code = '''\nhush'''\n\
                    app_scret = \"hush\"\napp_secret \"hush\"\n[[credential]]\nname = \"n\"\n";
        let source = Source::new("app.toml".into(), text.to_owned(), Some(&["app_key", "app_code_file", "name"]));
        let shown = source.shown();
        assert_eq!(shown.len(), text.len());
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.starts_with("app_key = \"1\"\napp_secret =") && shown.contains("\"f\""), "{shown}");
        assert!(shown.ends_with("\n[[credential]]\nname = \"n\"\n"), "{shown}");
    }
}
