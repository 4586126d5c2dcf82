use proptest::prelude::*;

use super::*;
use crate::catalog::parameter::Location;

fn parse(text: &str) -> Result<Condition, BadCondition> {
    let parameter = |name: &str| Parameter { name: name.into(), location: Location::Method };
    Condition::parse(text, &["Level", "Ip"].map(parameter))
}

fn level() -> Operand {
    Operand::Variable(0)
}

fn is(text: &str) -> Condition {
    Condition::Compare(level(), Comparison::Equal, Operand::Constant(Constant::Text(text.into())))
}

#[test]
fn and_binds_more_than_or_and_not_more_than_both() {
    let text = "$Level = 'a' or not ${Level} == \"b\" AND $Level='c'";
    let both = Condition::All(vec![Condition::Not(is("b").into()), is("c")]);
    assert_eq!(parse(text), Ok(Condition::Any(vec![is("a"), both])));
    let grouped = Condition::All(vec![Condition::Any(vec![is("a"), is("b")]), is("c")]);
    assert_eq!(parse("($Level = 'a' or $Level = 'b') and $Level = 'c'"), Ok(grouped));
}

#[test]
fn every_operator_is_read() {
    let number = |n| Operand::Constant(Constant::Number(n));
    for (text, comparison) in [
        ("<>", Comparison::NotEqual),
        ("!=", Comparison::NotEqual),
        ("<", Comparison::Less),
        ("<=", Comparison::LessOrEqual),
        (">", Comparison::Greater),
        (">=", Comparison::GreaterOrEqual),
    ] {
        assert_eq!(parse(&format!("$Level {text} -1.5")), Ok(Condition::Compare(level(), comparison, number(-1.5))));
    }
    let list = vec![Constant::Text("it's".into()), Constant::Number(2.0), Constant::Boolean(true), Constant::Null];
    assert_eq!(parse("$Level in ('it''s', 2, true, null)"), Ok(Condition::In(level(), list)));
    assert_eq!(parse("$Level !like 'x%'"), Ok(Condition::Not(Condition::Like(level(), "x%".into()).into())));
    let network = Condition::InCidr(Operand::Variable(1), "10.0.0.0/8".parse().unwrap());
    assert_eq!(parse("$Ip in_cidr '10.0.0.0/8'"), Ok(network.clone()));
    assert_eq!(parse("$Ip not in_cidr '10.0.0.0/8'"), Ok(Condition::Not(network.into())));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let wrong = |text: &str| parse(text).map_err(|bad| (bad.at, bad.problem));
    for (text, at, problem) in [
        ("", 0..0, "expected `$NAME` or a constant"),
        ("$Level", 6..6, "expected `=`, `<>`, `<`, `<=`, `>`, `>=`, `in`, `like` or `in_cidr`"),
        ("$Leve = 1", 0..5, "there is no parameter `Leve`"),
        ("$Level = 'a", 9..11, "this text does not end"),
        ("$Level = 'a' $Ip", 13..16, "expected `and`, `or`, or the end of the condition"),
        ("($Level = 1", 11..11, "expected `)`"),
        ("$Level in 'a'", 10..13, "expected `(`"),
        ("$Level in ('a' 'b')", 15..18, "expected `,` or `)`"),
        ("$Ip in_cidr '10.0.0.0/40'", 12..25, "this is neither an address nor a network"),
        ("$Level < null", 9..13, "`null` is compared by `=` and `<>` alone"),
        ("Random() < 0.05", 0..6, "`Random()` is not available: a rule goes by the parameters of the call alone"),
        ("$Level = 1.2.3", 9..14, "this is not a number"),
        ("$Level = ;", 9..10, "this means nothing in a condition"),
        ("${Level = 1", 0..7, "`${` is the beginning of `${NAME}`"),
        ("$ = 1", 0..1, "`$` is the beginning of `$NAME`"),
    ] {
        assert_eq!(wrong(text), Err((at, problem.to_owned())), "{text}");
    }
    assert_eq!(parse("$Leve = 1").unwrap_err().near.as_deref(), Some("Level"));
    let deep = "(".repeat(100);
    assert_eq!(parse(&deep).unwrap_err().problem, "a condition is at most 32 deep");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written is read or refused, with a place within it.
    #[test]
    fn no_text_brings_the_reader_down(text in "([$!=<>(),'\"-]|\\PC|and |or |not |in |like |in_cidr |null|[0-9.]{1,3}|[$]Level ){0,40}") {
        if let Err(bad) = parse(&text) {
            prop_assert!(bad.at.start <= bad.at.end && text.get(bad.at.clone()).is_some(), "{bad:?}");
        }
    }
}
