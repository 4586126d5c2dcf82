//! Rust source files as `tests/tidy.rs` looks at them: code without comments, literals and tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tools::repository;

/// One source file.
pub struct Source {
    /// From the repository's root, with `/`.
    pub path: String,
    pub text: String,
    /// `text` with comments and the content of literals blanked; line numbers are kept.
    pub code: String,
    /// `code` without what `#[cfg(test)]` covers.
    pub shipped: String,
}

impl Source {
    pub fn read(path: &str) -> Self {
        let text = fs::read_to_string(repository().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        let code = without_comments_and_literals(&text);
        let shipped = without_tests(&code);
        Self { path: path.into(), text, code, shipped }
    }

    /// All Rust files below a directory of the repository. Files that only tests include have no `shipped` code.
    pub fn below(directory: &str) -> Vec<Self> {
        let mut files = Vec::new();
        collect(&repository().join(directory), &mut files);
        files.sort();
        let mut sources: Vec<_> = files.iter().map(|f| Self::read(&relative(f))).collect();
        let tests: Vec<_> = sources.iter().flat_map(Self::test_modules).collect();
        for source in &mut sources {
            let inside = |t: &String| source.path == format!("{t}.rs") || source.path.starts_with(&format!("{t}/"));
            if tests.iter().any(inside) {
                source.shipped = String::new();
            }
        }
        sources
    }

    /// Where the modules declared by `#[cfg(test)] mod name;` lie, without `.rs`.
    fn test_modules(&self) -> Vec<String> {
        let path = Path::new(&self.path);
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let parent = path.parent().unwrap_or(Path::new(""));
        let directory = if ["mod", "lib", "main"].contains(&stem) { parent.to_owned() } else { parent.join(stem) };
        self.code
            .match_indices(CFG_TEST)
            .filter_map(|(at, _)| {
                let declared = self.code[at + CFG_TEST.len()..].split_once(';')?.0.trim_start();
                let declared = declared.strip_prefix("pub(crate) ").unwrap_or(declared);
                declared.strip_prefix("mod ").map(|name| (name, ()))
            })
            .filter(|(name, _)| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
            .map(|(name, _)| directory.join(name).to_string_lossy().into_owned())
            .collect()
    }

    /// Module path from the crate's root: `src/gate/route.rs` is `["gate", "route"]`.
    pub fn module(&self) -> Vec<&str> {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let inner = inner.strip_suffix(".rs").unwrap_or(inner);
        inner.split('/').filter(|part| !["mod", "lib", "main"].contains(part)).collect()
    }

    /// Numbers and texts of the lines of `code` (a part of this value) where `wanted` stands as a token of its own.
    pub fn lines_with<'a>(&'a self, code: &'a str, wanted: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        code.lines().zip(self.text.lines()).enumerate().filter_map(move |(i, (code, text))| {
            let found = code.match_indices(wanted).any(|(at, _)| {
                let before = code[..at].chars().next_back();
                let after = code[at + wanted.len()..].chars().next();
                let begins_inside = is_word(before) && is_word(wanted.chars().next());
                let ends_inside = is_word(after) && is_word(wanted.chars().last());
                !begins_inside && !ends_inside
            });
            found.then_some((i + 1, text))
        })
    }

    /// Top-level modules of the crate that the shipped code names, with the line.
    pub fn imports(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let depth = self.module().len();
        let to_root = "super::".repeat(depth);
        for prefix in ["crate::", &to_root] {
            if prefix.is_empty() {
                continue;
            }
            for (at, _) in self.shipped.match_indices(prefix) {
                let before = self.shipped[..at].chars().next_back();
                if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                    continue;
                }
                let line = self.shipped[..at].matches('\n').count() + 1;
                for name in first_names(&self.shipped[at + prefix.len()..]) {
                    found.push((line, name));
                }
            }
        }
        found
    }
}

const CFG_TEST: &str = "#[cfg(test)]";

/// The first names of a path, or of each path of a group `{a::b, c}`.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut names, mut depth, mut start) = (Vec::new(), 0, 0);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                names.push(name(&group[start..i]));
                start = i + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names.retain(|n| !n.is_empty());
    names
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

fn relative(file: &Path) -> String {
    file.strip_prefix(repository()).unwrap_or(file).to_string_lossy().replace('\\', "/")
}

fn without_comments_and_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    let blank = |out: &mut Vec<u8>, part: &[u8]| out.extend(part.iter().map(|&b| if b == b'\n' { b'\n' } else { b' ' }));
    while i < bytes.len() {
        let rest = &bytes[i..];
        let before = i.checked_sub(1).map(|j| bytes[j]);
        let word_before = before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        let len = if rest.starts_with(b"//") {
            rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            block_comment(rest)
        } else if rest[0] == b'"' {
            1 + quoted(&rest[1..])
        } else if let (b'r', false, Some(len)) = (rest[0], word_before && before != Some(b'b'), raw_string(rest)) {
            len
        } else if rest[0] == b'\'' {
            character(rest).unwrap_or(0)
        } else {
            0
        };
        if len == 0 {
            out.push(bytes[i]);
            i += 1;
        } else {
            blank(&mut out, &rest[..len]);
            i += len;
        }
    }
    String::from_utf8(out).expect("whole characters were blanked")
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut i) = (0, 0);
    while i < rest.len() {
        if rest[i..].starts_with(b"/*") {
            depth += 1;
            i += 2;
        } else if rest[i..].starts_with(b"*/") {
            depth -= 1;
            i += 2;
            if depth == 0 {
                break;
            }
        } else {
            i += 1;
        }
    }
    i
}

/// Length of a string's content with its closing quote.
fn quoted(rest: &[u8]) -> usize {
    let mut i = 0;
    while i < rest.len() && rest[i] != b'"' {
        i += if rest[i] == b'\\' { 2 } else { 1 };
    }
    (i + 1).min(rest.len())
}

fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|&&b| b == b'#').count();
    (rest.get(1 + hashes) == Some(&b'"')).then_some(())?;
    let end = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    let content = &rest[2 + hashes..];
    let len = content.windows(end.len()).position(|w| w == end)?;
    Some(2 + hashes + len + end.len())
}

/// Length of a character literal; `None` for a lifetime.
fn character(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        let end = rest[3..].iter().position(|&b| b == b'\'')?;
        return Some(3 + end + 1);
    }
    let text =
        std::str::from_utf8(&rest[1..rest.len().min(6)]).or_else(|e| std::str::from_utf8(&rest[1..1 + e.valid_up_to()])).ok()?;
    let first = text.chars().next()?;
    (rest.get(1 + first.len_utf8()) == Some(&b'\'')).then_some(2 + first.len_utf8())
}

fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(at) = out.find(CFG_TEST) {
        let rest = &out[at..];
        let end = match (rest.find('{'), rest.find(';')) {
            (Some(open), semicolon) if semicolon.is_none_or(|s| open < s) => open + block(&rest[open..]),
            (_, Some(semicolon)) => semicolon + 1,
            _ => rest.len(),
        };
        let blank: String = rest[..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(at..at + end, &blank);
    }
    out
}

fn block(rest: &str) -> usize {
    let mut depth = 0;
    for (i, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let code = without_comments_and_literals("a /* x /* y */ z */ b // c\n\"d\\\"e\" r#\"f\"# 'g' '\\'' 'life b\"h\"");
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "b", "'life", "b"]);
        assert_eq!(code.matches('\n').count(), 1);
    }

    #[test]
    fn tests_are_left_out() {
        let code = without_tests("fn a() {}\n#[cfg(test)]\nmod tests { fn b() { c } }\nfn d() {}\n#[cfg(test)]\nmod e;\n");
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["fn", "a()", "{}", "fn", "d()", "{}"]);
    }

    #[test]
    fn groups_give_all_their_first_names() {
        assert_eq!(first_names("{gate::{a, b}, http::head, sys}; x"), ["gate", "http", "sys"]);
        assert_eq!(first_names("gate::route::x"), ["gate"]);
    }
}
