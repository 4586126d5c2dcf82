//! Tokens.

use super::NotPlain;

pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
}

/// `[path]` or `[[path]]`.
#[derive(Clone, Copy)]
pub(super) struct Header<'t> {
    pub path: &'t str,
    pub is_list: bool,
    /// Of the header, brackets included.
    pub start: usize,
    pub end: usize,
}

impl<'t> Reader<'t> {
    /// `None`: the text has bytes that mean more than they say, wherever they stand.
    pub fn new(text: &'t str) -> Option<Self> {
        let plain = |byte: u8| (byte >= b' ' || byte == b'\n' || byte == b'\t') && byte != b'\\' && byte != 0x7f;
        // Folded and not searched: whole vectors at a time.
        let all = text.bytes().fold(true, |all, byte| all & plain(byte));
        all.then_some(Self { text, at: 0 })
    }

    pub fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub fn is_at_end(&mut self) -> bool {
        self.blank();
        self.at == self.text.len()
    }

    /// Over blanks within a line.
    #[inline]
    pub fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Over blanks, comments and ends of lines.
    #[inline]
    pub fn blank(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n') => self.at += 1,
                Some(b'#') => self.at = self.end_of_line(),
                _ => return,
            }
        }
    }

    fn end_of_line(&self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        memchr::memchr(b'\n', rest).map_or(self.text.len(), |end| self.at + end)
    }

    /// To the end of a line on which nothing more than a comment stands.
    pub fn line_ends(&mut self) -> Result<(), NotPlain> {
        self.spaces();
        match self.peek() {
            None => Ok(()),
            Some(b'\n' | b'#') => {
                self.at = self.end_of_line();
                Ok(())
            }
            Some(_) => Err(NotPlain),
        }
    }

    #[inline]
    pub fn expect(&mut self, byte: u8) -> Result<(), NotPlain> {
        match self.take(byte) {
            true => Ok(()),
            false => Err(NotPlain),
        }
    }

    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// A bare key, up to its value.
    pub fn key(&mut self) -> Result<&'t str, NotPlain> {
        let key = self.word()?;
        self.spaces();
        self.expect(b'=')?;
        self.spaces();
        Ok(key)
    }

    fn word(&mut self) -> Result<&'t str, NotPlain> {
        let start = self.at;
        while self.peek().is_some_and(is_bare) {
            self.at += 1;
        }
        self.text.get(start..self.at).filter(|word| !word.is_empty()).ok_or(NotPlain)
    }

    /// A string between double quotes.
    #[inline]
    pub fn string(&mut self) -> Result<&'t str, NotPlain> {
        self.expect(b'"')?;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = memchr::memchr2(b'"', b'\n', rest.as_bytes()).ok_or(NotPlain)?;
        let string = rest.get(..end).ok_or(NotPlain)?;
        self.at += end;
        self.expect(b'"')?;
        // An empty one may be the beginning of a string of several lines.
        match string.is_empty() && self.peek() == Some(b'"') {
            true => Err(NotPlain),
            false => Ok(string),
        }
    }

    /// A whole number in the plainest form.
    pub fn number(&mut self) -> Result<i64, NotPlain> {
        let negative = self.take(b'-');
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = self.text.get(start..self.at).unwrap_or_default();
        if digits.is_empty() || digits.len() > 18 || (digits.len() > 1 && digits.starts_with('0')) {
            return Err(NotPlain);
        }
        self.value_ends()?;
        let number: i64 = digits.parse().map_err(|_| NotPlain)?;
        Ok(if negative { -number } else { number })
    }

    pub fn truth(&mut self) -> Result<bool, NotPlain> {
        let truth = match self.word()? {
            "true" => true,
            "false" => false,
            _ => return Err(NotPlain),
        };
        self.value_ends()?;
        Ok(truth)
    }

    /// What stands here is a value of its own, and not the beginning of a date or a fraction.
    fn value_ends(&self) -> Result<(), NotPlain> {
        match self.peek() {
            None | Some(b' ' | b'\t' | b'\n' | b'#' | b',' | b']' | b'}') => Ok(()),
            Some(_) => Err(NotPlain),
        }
    }

    /// Where the value that stands here ends.
    pub fn end_of_value(&mut self) -> Result<usize, NotPlain> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => drop(self.string()?),
                Some(b'[' | b'{') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b']' | b'}') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b'#' | b' ' | b'\t' | b'\n') if depth > 0 => self.blank(),
                Some(b',' | b'=') if depth > 0 => self.at += 1,
                Some(byte) if is_bare(byte) => drop(self.word()?),
                _ => return Err(NotPlain),
            }
            if depth == 0 {
                break;
            }
        }
        Ok(std::mem::replace(&mut self.at, start))
    }

    /// The header that comes next, with nothing but blanks and comments before it. It is not taken.
    pub fn header(&mut self) -> Result<Option<Header<'t>>, NotPlain> {
        self.blank();
        let start = self.at;
        if self.peek() != Some(b'[') {
            return if self.peek().is_none() { Ok(None) } else { Err(NotPlain) };
        }
        self.at += 1;
        let is_list = self.take(b'[');
        let from = self.at;
        while self.peek().is_some_and(|byte| is_bare(byte) || byte == b'.') {
            self.at += 1;
        }
        let path = self.text.get(from..self.at).unwrap_or_default();
        if path.split('.').any(str::is_empty) {
            return Err(NotPlain);
        }
        self.expect(b']')?;
        if is_list {
            self.expect(b']')?;
        }
        let end = std::mem::replace(&mut self.at, start);
        Ok(Some(Header { path, is_list, start, end }))
    }

    /// Goes on after a header.
    pub fn enter(&mut self, header: &Header<'t>) -> Result<(), NotPlain> {
        self.at = header.end;
        self.line_ends()
    }
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}
