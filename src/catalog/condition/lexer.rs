//! The words of a condition.

use std::ops::Range;

use super::{BadCondition, Comparison};

#[derive(Clone, Debug, PartialEq)]
pub enum Token<'t> {
    /// `$name` or `${name}`.
    Variable(&'t str),
    Text(String),
    Number(f64),
    /// A keyword, or a name that is none.
    Word(&'t str),
    Comparison(Comparison),
    Not,
    Open,
    Close,
    Comma,
    End,
}

/// All of them, each with its place, an [`Token::End`] last.
pub fn tokens(text: &str) -> Result<Vec<(Token<'_>, Range<usize>)>, BadCondition> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(|c: char| !c.is_whitespace()).map(|skip| at + skip) {
        let (token, end) = token(text, start)?;
        tokens.push((token, start..end));
        at = end;
    }
    tokens.push((Token::End, text.len()..text.len()));
    Ok(tokens)
}

fn token(text: &str, start: usize) -> Result<(Token<'_>, usize), BadCondition> {
    let rest = &text[start..];
    let symbols = [
        ("==", Token::Comparison(Comparison::Equal)),
        ("<>", Token::Comparison(Comparison::NotEqual)),
        ("!=", Token::Comparison(Comparison::NotEqual)),
        ("<=", Token::Comparison(Comparison::LessOrEqual)),
        (">=", Token::Comparison(Comparison::GreaterOrEqual)),
        ("=", Token::Comparison(Comparison::Equal)),
        ("<", Token::Comparison(Comparison::Less)),
        (">", Token::Comparison(Comparison::Greater)),
        ("!", Token::Not),
        ("(", Token::Open),
        (")", Token::Close),
        (",", Token::Comma),
    ];
    if let Some((symbol, token)) = symbols.into_iter().find(|(symbol, _)| rest.starts_with(symbol)) {
        return Ok((token, start + symbol.len()));
    }
    let name_end = |from: usize| {
        text[from..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(text.len(), |length| from + length)
    };
    match rest.chars().next().unwrap_or_default() {
        '$' if rest.starts_with("${") => {
            let end = name_end(start + 2);
            match text[end..].starts_with('}') && end > start + 2 {
                true => Ok((Token::Variable(&text[start + 2..end]), end + 1)),
                false => Err(bad(start..end, "`${` is the beginning of `${NAME}`")),
            }
        }
        '$' => match name_end(start + 1) {
            end if end == start + 1 => Err(bad(start..end, "`$` is the beginning of `$NAME`")),
            end => Ok((Token::Variable(&text[start + 1..end]), end)),
        },
        quote @ ('\'' | '"') => self::text(text, start, quote),
        '-' | '0'..='9' => {
            let end = text[start + 1..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(text.len(), |n| start + 1 + n);
            match text[start..end].parse::<f64>() {
                Ok(number) => Ok((Token::Number(number), end)),
                Err(_) => Err(bad(start..end, "this is not a number")),
            }
        }
        c if c.is_ascii_alphabetic() => {
            let end = name_end(start);
            Ok((Token::Word(&text[start..end]), end))
        }
        c => Err(bad(start..start + c.len_utf8(), "this means nothing in a condition")),
    }
}

/// A text in quotes; the quote within it is written twice.
fn text(text: &str, start: usize, quote: char) -> Result<(Token<'_>, usize), BadCondition> {
    let mut value = String::new();
    let mut at = start + 1;
    while let Some(length) = text[at..].find(quote) {
        value.push_str(&text[at..at + length]);
        at += length + 1;
        if !text[at..].starts_with(quote) {
            return Ok((Token::Text(value), at));
        }
        value.push(quote);
        at += 1;
    }
    Err(bad(start..text.len(), "this text does not end"))
}

pub fn bad(at: Range<usize>, problem: impl Into<String>) -> BadCondition {
    BadCondition { at, problem: problem.into(), near: None }
}
