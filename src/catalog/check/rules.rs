//! Policies by parameters of the call.

use super::policy::{limit, period};
use super::{Checked, check_name};
use crate::catalog::parameter::Location;
use crate::catalog::policy::{ByParameters, Rule, Scope};
use crate::catalog::{Condition, Parameter, Period};
use crate::document::policy::{CONDITION_CHARACTERS, LIMIT, Policy as Document, RETRY_AFTER_S, RuleTable, ScopeWord};
use crate::document::{At, Place, nearest};

/// Rules of a policy; each may cost every call a counter.
pub const RULES: usize = 8;
/// Parameters of a policy.
pub const PARAMETERS: usize = 16;

/// A key that only this form has, where it is written.
pub fn key_of(document: &Document) -> Option<(&'static str, At<()>)> {
    fn at<T>(key: &'static str, value: &Option<At<T>>) -> Option<(&'static str, At<()>)> {
        value.as_ref().map(|value| (key, At { value: (), span: value.span.clone() }))
    }
    at("default_limit", &document.default_limit)
        .or_else(|| at("default_period", &document.default_period))
        .or_else(|| at("scope", &document.scope))
        .or_else(|| at("default_retry_after_s", &document.default_retry_after_s))
        .or_else(|| at("parameters", &document.parameters))
        .or_else(|| document.rule.first().map(|rule| ("rule", At { value: (), span: rule.name.span.clone() })))
}

/// `None` stands for errors in the report.
pub fn by_parameters(document: &Document, checked: &mut Checked<'_>) -> Option<ByParameters> {
    not_both(document, checked);
    let default_period = document.default_period.as_ref().map(|word| period(word.value));
    for (key, missing) in
        [("default_limit", document.default_limit.is_none()), ("default_period", document.default_period.is_none())]
    {
        if missing {
            let diagnostic = checked.at(&document.kind, format!("this policy has no `{key}`"));
            checked
                .push(diagnostic.help("limits by parameters have `default_limit` and `default_period`, for all calls together"));
        }
    }
    let default =
        document.default_limit.as_ref().and_then(|at| limit("default_limit", at, default_period, *LIMIT.start(), checked));
    let retry_after_s = retry_after("default_retry_after_s", &document.default_retry_after_s, checked);
    let parameters = parameters(document, checked);
    let rules = rules(&document.rule, &parameters, checked);
    let scope = match document.scope.as_ref().map(|word| word.value) {
        None | Some(ScopeWord::Api) => Scope::Api,
        Some(ScopeWord::Policy) => Scope::Policy,
    };
    Some(ByParameters { scope, limit: default?, period: default_period?, retry_after_s, parameters, rules })
}

/// The two forms do not go together.
fn not_both(document: &Document, checked: &mut Checked<'_>) {
    let Some((own, place)) = key_of(document) else { return };
    let limits = [("api", &document.api), ("user", &document.user), ("app", &document.app), ("group", &document.group)];
    let limits = limits.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?.span.clone())));
    let unit = document.unit.as_ref().map(|unit| ("unit", unit.span.clone()));
    let special = document.special.first().map(|special| ("special", special.limit.span.clone()));
    for (key, span) in limits.chain(unit).chain(special) {
        let diagnostic = checked.at(&At { value: (), span }, format!("`{key}` does not go with `{own}`"));
        let diagnostic = diagnostic.related(checked.place(&place), "this makes it a policy by parameters");
        checked.push(
            diagnostic
                .note("limits are by who calls (`unit`, `api`, `user`, `app`) or by parameters (`default_limit`, `[[rule]]`)"),
        );
    }
}

fn retry_after(key: &str, value: &Option<At<i64>>, checked: &mut Checked<'_>) -> Option<u32> {
    value.as_ref().and_then(|value| checked.number(key, value, RETRY_AFTER_S)).map(|seconds| seconds as u32)
}

fn parameters(document: &Document, checked: &mut Checked<'_>) -> Vec<Parameter> {
    let mut list = Vec::new();
    let Some(written) = &document.parameters else { return list };
    if written.len() > PARAMETERS {
        checked.push(checked.at(written, format!("a policy has at most {PARAMETERS} parameters")));
    }
    for (name, location) in &written.value {
        let mut bytes = name.bytes();
        let starts = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        if !starts || !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            let diagnostic = checked.at(name, format!("`{}` is not a name of a parameter", name.value));
            checked.push(diagnostic.note("allowed: letters, digits and `_`, the first no digit"));
        }
        // Kept even when it is wrong, so that rules that name it are not wrong because of it.
        let known = Location::parse(location).unwrap_or_else(|problem| {
            let message = format!("`{}` is not where a parameter can be", location.value);
            checked.push(checked.at(location, message).note(problem));
            Location::Method
        });
        list.push(Parameter { name: name.value.clone(), location: known });
    }
    list
}

fn rules(tables: &[At<RuleTable>], parameters: &[Parameter], checked: &mut Checked<'_>) -> Vec<Rule> {
    if let Some(one_too_many) = tables.get(RULES) {
        checked.push(checked.at(one_too_many, format!("a policy has at most {RULES} rules")));
    }
    let mut names: Vec<(&str, Place)> = Vec::new();
    let mut rules = Vec::new();
    for table in tables {
        if let Err(problem) = check_name(&table.name) {
            checked.push(checked.at(&table.name, format!("`{}` is not a name of a rule", table.name.value)).note(problem));
        }
        if let Some((_, first)) = names.iter().find(|(name, _)| *name == table.name.value) {
            let diagnostic = checked.at(&table.name, format!("two rules have the name `{}`", table.name.value));
            checked.push(diagnostic.related(first.clone(), "first here"));
        }
        names.push((&table.name.value, checked.place(&table.name)));
        rules.extend(rule(table, parameters, checked));
    }
    rules
}

fn rule(table: &RuleTable, parameters: &[Parameter], checked: &mut Checked<'_>) -> Option<Rule> {
    let period: Period = period(table.period.value);
    let limit = limit("limit", &table.limit, Some(period), *LIMIT.start(), checked);
    let mut by = Vec::new();
    for name in table.by_parameters.iter().flat_map(|names| &names.value) {
        match parameters.iter().position(|parameter| parameter.name == name.value) {
            Some(place) if by.contains(&place) => {
                checked.push(checked.at(name, format!("the parameter `{}` is listed twice", name.value)));
            }
            Some(place) => by.push(place),
            None => {
                let near = nearest(name, parameters.iter().map(|parameter| parameter.name.as_str()));
                let diagnostic = checked.at(name, format!("there is no parameter `{}`", name.value)).did_you_mean(near);
                checked.push(diagnostic.note("`[parameters]` says where each parameter is found"));
            }
        }
    }
    let condition = match &table.condition {
        Some(written) => Some(condition(written, parameters, checked)?),
        None => None,
    };
    Some(Rule {
        name: table.name.value.clone(),
        by,
        limit: limit?,
        period,
        condition,
        bypass_empty_value: table.bypass_empty_value.unwrap_or(false),
        retry_after_s: retry_after("retry_after_s", &table.retry_after_s, checked),
    })
}

fn condition(written: &At<String>, parameters: &[Parameter], checked: &mut Checked<'_>) -> Option<Condition> {
    if written.chars().count() > CONDITION_CHARACTERS {
        checked.push(checked.at(written, format!("a condition has at most {CONDITION_CHARACTERS} characters")));
        return None;
    }
    match Condition::parse(written, parameters) {
        Ok(condition) => Some(condition),
        Err(bad) => {
            // Within the quotes, where the text stands there as it is.
            let start = written.span.start + 1;
            let as_written = checked.source.text.get(start..start + written.len()) == Some(written.as_str());
            let at =
                At { value: (), span: if as_written { start + bad.at.start..start + bad.at.end } else { written.span.clone() } };
            checked.push(
                checked.at(&at, format!("this condition cannot be read: {}", bad.problem)).did_you_mean(bad.near.as_deref()),
            );
            None
        }
    }
}
