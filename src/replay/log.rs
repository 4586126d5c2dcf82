//! Files of an access log, rotated ones too, in the order of their times; packed ones (`.gz`) are unpacked on the way.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::Progress;
use super::line::Line;

/// The longest line that is read, in bytes: a head of 64 KiB with every byte escaped, and what else a line says.
const LINE_BYTES: u64 = 512 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;
/// Lines between two words about progress.
const TOLD_EVERY: usize = 4096;

/// A line by file and number, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

#[derive(Debug)]
pub enum LogError {
    /// A file cannot be read.
    Read(PathBuf, io::Error),
    /// The outcomes cannot be written.
    Outcomes(io::Error),
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(file, error) => write!(f, "{}: {error}", file.display()),
            Self::Outcomes(error) => write!(f, "the outcomes cannot be written: {error}"),
        }
    }
}

/// A place that is made only when somebody wants it.
#[derive(Clone, Copy)]
pub struct PlaceOf<'a> {
    file: &'a Path,
    line: usize,
}

impl PlaceOf<'_> {
    pub fn place(&self) -> Place {
        Place { file: self.file.to_owned(), line: self.line }
    }
}

pub struct Log {
    files: Vec<PathBuf>,
    /// The file that is being read.
    current: usize,
    reader: Option<Box<dyn BufRead>>,
    line: Vec<u8>,
    number: usize,
    /// Bytes of all files, and those of the files read so far.
    bytes: u64,
    bytes_before: u64,
    told: usize,
}

impl Log {
    pub fn open(files: &[PathBuf]) -> Result<Self, LogError> {
        let mut dated = Vec::new();
        let mut bytes = 0;
        for file in files {
            let failed = |error| LogError::Read(file.clone(), error);
            bytes += std::fs::metadata(file).map_err(failed)?.len();
            dated.push((first_time(file).map_err(failed)?, file.clone()));
        }
        // Times of one format, in UTC: their order is that of their texts. An empty file may stand anywhere.
        dated.sort_by(|(one, _), (other, _)| one.cmp(other));
        let files = dated.into_iter().map(|(_, file)| file).collect();
        Ok(Self { files, current: 0, reader: None, line: Vec::new(), number: 0, bytes, bytes_before: 0, told: 0 })
    }

    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The next line, or `None` at the end of the last file; a line without a record in it is damaged. Empty lines are
    /// passed over.
    pub fn next(&mut self, progress: Progress<'_>) -> Result<Option<(Option<Line<'_>>, PlaceOf<'_>)>, LogError> {
        let whole = loop {
            let Some(file) = self.files.get(self.current) else { return Ok(None) };
            let failed = |error| LogError::Read(file.clone(), error);
            let reader = match &mut self.reader {
                Some(reader) => reader,
                none => none.insert(open(file).map_err(failed)?),
            };
            let whole = read_line(reader, &mut self.line).map_err(failed)?;
            if self.line.is_empty() {
                self.bytes_before += std::fs::metadata(file).map_or(0, |metadata| metadata.len());
                progress(self.bytes_before, self.bytes);
                (self.reader, self.number) = (None, 0);
                self.current += 1;
                continue;
            }
            self.number += 1;
            self.told += 1;
            if self.told.is_multiple_of(TOLD_EVERY) {
                // Within a file: by its lines so far, as if all were as long as this one.
                let within = (self.number as u64).saturating_mul(self.line.len() as u64);
                progress((self.bytes_before + within).min(self.bytes), self.bytes);
            }
            if !self.line.trim_ascii().is_empty() {
                break whole;
            }
        };
        let file = self.files.get(self.current).map(PathBuf::as_path).unwrap_or(Path::new(""));
        let line = if whole { serde_json::from_slice(&self.line).ok() } else { None };
        Ok(Some((line, PlaceOf { file, line: self.number })))
    }
}

fn open(file: &Path) -> io::Result<Box<dyn BufRead>> {
    let reader = File::open(file)?;
    Ok(match file.extension().is_some_and(|extension| extension == "gz") {
        true => Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(reader))),
        false => Box::new(BufReader::with_capacity(BUFFER_BYTES, reader)),
    })
}

/// Reads a line, with its end; empty at the end of the file. False: it was too long, and is left out.
fn read_line(reader: &mut Box<dyn BufRead>, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    reader.take(LINE_BYTES).read_until(b'\n', line)?;
    let whole = line.len() < LINE_BYTES as usize || line.ends_with(b"\n");
    if !whole {
        loop {
            let bytes = reader.fill_buf()?;
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let used = end.map_or(bytes.len(), |end| end + 1);
            let done = end.is_some() || bytes.is_empty();
            reader.consume(used);
            if done {
                break;
            }
        }
    }
    Ok(whole)
}

/// When the first record of a file was written; empty: it has none.
fn first_time(file: &Path) -> io::Result<String> {
    let mut reader = open(file)?;
    let mut line = Vec::new();
    loop {
        let whole = read_line(&mut reader, &mut line)?;
        if line.is_empty() {
            return Ok(String::new());
        }
        if let (true, Ok(line)) = (whole, serde_json::from_slice::<Line<'_>>(&line)) {
            return Ok(line.time.into_owned());
        }
    }
}
