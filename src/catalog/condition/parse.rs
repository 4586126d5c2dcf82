//! Words to a condition: `or` binds least, then `and`, then `not`.

use std::ops::Range;

use ipnet::IpNet;

use super::lexer::{Token, bad, tokens};
use super::{BadCondition, Comparison, Condition, Constant, Operand, Parameter};
use crate::document::nearest;

/// How deep parentheses and `not` may lie in each other.
const DEPTH: usize = 32;

pub fn parse(text: &str, parameters: &[Parameter]) -> Result<Condition, BadCondition> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, parameters, depth: 0 };
    let condition = parser.any()?;
    match parser.peek() {
        (Token::End, _) => Ok(condition),
        (_, at) => Err(bad(at, "expected `and`, `or`, or the end of the condition")),
    }
}

struct Parser<'t> {
    tokens: Vec<(Token<'t>, Range<usize>)>,
    at: usize,
    parameters: &'t [Parameter],
    depth: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> (Token<'t>, Range<usize>) {
        self.tokens.get(self.at).cloned().unwrap_or((Token::End, 0..0))
    }

    fn next(&mut self) -> (Token<'t>, Range<usize>) {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn takes(&mut self, wanted: impl Fn(&Token<'t>) -> bool) -> bool {
        let is = wanted(&self.peek().0);
        self.at += usize::from(is);
        is
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        self.takes(|token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(keyword)))
    }

    fn any(&mut self) -> Result<Condition, BadCondition> {
        self.several("or", Self::all, Condition::Any)
    }

    fn all(&mut self) -> Result<Condition, BadCondition> {
        self.several("and", Self::not, Condition::All)
    }

    fn several(
        &mut self,
        joint: &str,
        one: fn(&mut Self) -> Result<Condition, BadCondition>,
        whole: fn(Vec<Condition>) -> Condition,
    ) -> Result<Condition, BadCondition> {
        let first = one(self)?;
        let mut list = vec![first];
        while self.keyword(joint) {
            list.push(one(self)?);
        }
        Ok(match list.len() {
            1 => list.remove(0),
            _ => whole(list),
        })
    }

    fn not(&mut self) -> Result<Condition, BadCondition> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(bad(self.peek().1, format!("a condition is at most {DEPTH} deep")));
        }
        let condition = if self.keyword("not") || self.takes(|token| *token == Token::Not) {
            Condition::Not(self.not()?.into())
        } else if self.takes(|token| *token == Token::Open) {
            let inner = self.any()?;
            self.expect(&Token::Close, "`)`")?;
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn test(&mut self) -> Result<Condition, BadCondition> {
        let left = self.operand()?;
        let negated = self.keyword("not") || self.takes(|token| *token == Token::Not);
        let (token, at) = self.next();
        let test = match token {
            Token::Comparison(comparison) if !negated => {
                let right_at = self.peek().1;
                let right = self.operand()?;
                comparable(&left, comparison, &right, right_at)?;
                Condition::Compare(left, comparison, right)
            }
            Token::Word(word) if word.eq_ignore_ascii_case("in") => Condition::In(left, self.list()?),
            Token::Word(word) if word.eq_ignore_ascii_case("like") => Condition::Like(left, self.text()?.0),
            Token::Word(word) if word.eq_ignore_ascii_case("in_cidr") => {
                let (text, at) = self.text()?;
                let network = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
                Condition::InCidr(left, network.map_err(|_| bad(at, "this is neither an address nor a network"))?)
            }
            _ => return Err(bad(at, "expected `=`, `<>`, `<`, `<=`, `>`, `>=`, `in`, `like` or `in_cidr`")),
        };
        Ok(if negated { Condition::Not(test.into()) } else { test })
    }

    fn operand(&mut self) -> Result<Operand, BadCondition> {
        let (token, at) = self.next();
        let name = match token {
            Token::Variable(name) => name,
            Token::Word(word) if self.peek().0 == Token::Open => {
                return Err(bad(at, format!("`{word}()` is not available: a rule goes by the parameters of the call alone")));
            }
            token => return constant(token).map(Operand::Constant).ok_or_else(|| bad(at, "expected `$NAME` or a constant")),
        };
        match self.parameters.iter().position(|parameter| parameter.name == name) {
            Some(place) => Ok(Operand::Variable(place)),
            None => {
                let near = nearest(name, self.parameters.iter().map(|parameter| parameter.name.as_str())).map(str::to_owned);
                Err(BadCondition { at, problem: format!("there is no parameter `{name}`"), near })
            }
        }
    }

    /// `('a', 'b')`
    fn list(&mut self) -> Result<Vec<Constant>, BadCondition> {
        self.expect(&Token::Open, "`(`")?;
        let mut list = Vec::new();
        loop {
            let (token, at) = self.next();
            list.push(constant(token).ok_or_else(|| bad(at, "expected a constant"))?);
            if !self.takes(|token| *token == Token::Comma) {
                self.expect(&Token::Close, "`,` or `)`")?;
                return Ok(list);
            }
        }
    }

    fn text(&mut self) -> Result<(String, Range<usize>), BadCondition> {
        match self.next() {
            (Token::Text(text), at) => Ok((text, at)),
            (_, at) => Err(bad(at, "expected a text in quotes")),
        }
    }

    fn expect(&mut self, wanted: &Token<'_>, words: &str) -> Result<(), BadCondition> {
        match self.next() {
            (token, _) if token == *wanted => Ok(()),
            (_, at) => Err(bad(at, format!("expected {words}"))),
        }
    }
}

/// Nothing is less or greater than null.
fn comparable(left: &Operand, comparison: Comparison, right: &Operand, at: Range<usize>) -> Result<(), BadCondition> {
    let null = Operand::Constant(Constant::Null);
    let is_equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    match is_equality || (*left != null && *right != null) {
        true => Ok(()),
        false => Err(bad(at, "`null` is compared by `=` and `<>` alone")),
    }
}

fn constant(token: Token<'_>) -> Option<Constant> {
    match token {
        Token::Text(text) => Some(Constant::Text(text)),
        Token::Number(number) => Some(Constant::Number(number)),
        Token::Word(word) if word.eq_ignore_ascii_case("null") => Some(Constant::Null),
        Token::Word(word) if word.eq_ignore_ascii_case("true") => Some(Constant::Boolean(true)),
        Token::Word(word) if word.eq_ignore_ascii_case("false") => Some(Constant::Boolean(false)),
        _ => None,
    }
}
