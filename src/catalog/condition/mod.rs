//! Conditions: the product's expressions over parameters of a call, such as `$Level = 'free' and $Path like '/v1/%'`.
//!
//! What they mean is in [`crate::gate::condition`]: this is what has been read, with names resolved.

mod lexer;
mod parse;

use ipnet::IpNet;

use super::Parameter;

#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// `or`
    Any(Vec<Condition>),
    /// `and`
    All(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Operand, Comparison, Operand),
    In(Operand, Vec<Constant>),
    /// `%` stands for any text, `_` for any one byte.
    Like(Operand, String),
    InCidr(Operand, IpNet),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// Place of a parameter.
    Variable(usize),
    Constant(Constant),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    Null,
    Boolean(bool),
    Number(f64),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is wrong with a condition, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCondition {
    /// In bytes.
    pub at: std::ops::Range<usize>,
    pub problem: String,
    /// A name that may have been meant.
    pub near: Option<String>,
}

impl Condition {
    /// Reads a condition over these parameters.
    pub fn parse(text: &str, parameters: &[Parameter]) -> Result<Self, BadCondition> {
        parse::parse(text, parameters)
    }
}

#[cfg(test)]
mod tests;
