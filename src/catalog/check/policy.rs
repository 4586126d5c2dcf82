//! Policy documents -> policies; the form by parameters is in [`super::rules`].

use std::collections::HashMap;
use std::sync::Arc;

use super::Checked;
use super::target::Context;
use crate::catalog::policy::{Binding, ByCaller, Control, Fields, PerSecond, Settings};
use crate::catalog::{AppDocument, AppId, Apps, EngineLoss, GroupId, Period, Policy, StageId};
use crate::document::policy::{
    BindTable, BlockingWord, FieldsWord, LIMIT, Policy as Document, QUEUE, QUEUE_WAIT_MS, SPECIAL_LIMIT, SpecialTable, UnitWord,
    WindowWord,
};
use crate::document::{At, Place, nearest};

const DEFAULT_QUEUE: u64 = 1000;
const DEFAULT_QUEUE_WAIT_MS: u64 = 1000;
/// Calls in a second that a counter can tell apart.
pub const MOST_PER_SECOND: u64 = 5_000_000;
const MOST_PER_MINUTE: u64 = 10_000_000_000;
const HOUR_MS: i64 = 3_600_000;

/// What policies are bound to, and where that is said.
#[derive(Default)]
pub struct Bound(HashMap<(GroupId, Option<String>, StageId), Place>);

/// Who may be special: of all apps, those that policies name. They are kept from one load to the next, as apps are many, and
/// seldom others.
#[derive(Default)]
pub struct Callers {
    apps: Apps,
    /// Documents of apps that could not be read.
    broken: Vec<Arc<AppDocument>>,
    /// Each name that was looked for; `None`: no app has it.
    names: HashMap<String, Option<AppId>>,
    /// Each owner that was looked for; false: no app has it.
    owners: HashMap<String, bool>,
}

impl Callers {
    /// Knows whoever is named in `policies`.
    pub fn of<'p>(self, apps: &Apps, broken: Vec<Arc<AppDocument>>, policies: impl Iterator<Item = &'p Document>) -> Self {
        let mut callers = if self.apps.is(apps) { self } else { Self { apps: apps.clone(), ..Self::default() } };
        callers.broken = broken;
        let (mut names, mut owners) = (Vec::new(), Vec::new());
        for special in policies.flat_map(|policy| &policy.special) {
            names.extend(special.app.iter().filter(|name| !callers.names.contains_key(name.as_str())).map(|name| name.as_str()));
            owners
                .extend(special.user.iter().filter(|name| !callers.owners.contains_key(name.as_str())).map(|name| name.as_str()));
        }
        callers.names.extend(names.iter().map(|name| ((*name).to_owned(), None)));
        let found = apps.named(names.into_iter());
        callers.names.extend(found.into_iter().map(|(name, id)| (name.to_owned(), Some(id))));
        if !owners.is_empty() {
            callers.owners.extend(owners.iter().map(|owner| ((*owner).to_owned(), false)));
            for owner in apps.iter().filter_map(|app| app.owner.as_deref()) {
                if let Some(is_there) = callers.owners.get_mut(owner) {
                    *is_there = true;
                }
            }
        }
        callers
    }

    fn app(&self, name: &str) -> Option<AppId> {
        self.names.get(name).copied().flatten()
    }

    /// The app may be in a document that could not be read.
    fn may_be(&self, app: &str) -> bool {
        self.broken.iter().any(|document| document.name.as_ref().is_none_or(|name| name == app))
    }

    fn has_owner(&self, owner: &str) -> bool {
        self.owners.get(owner).copied().unwrap_or_default()
    }
}

/// `None` stands for errors in the report.
pub fn policy(
    document: &Document,
    by_path: &str,
    context: &Context<'_>,
    callers: &Callers,
    bound: &mut Bound,
    on_engine_loss: EngineLoss,
    checked: &mut Checked<'_>,
) -> Option<Policy> {
    let name = checked.name("a policy", &document.name, by_path);
    let by_parameters = super::rules::key_of(document).is_some();
    let control = match by_parameters {
        true => super::rules::by_parameters(document, checked).map(Control::Parameters),
        false => by_caller(document, callers, checked).map(Control::Callers),
    };
    let settings = settings(document, on_engine_loss, checked);
    let mut bindings = Vec::new();
    for table in &document.bind {
        bind(table, context, bound, &mut bindings, checked);
    }
    if let Some(group) = document.group.as_ref().filter(|_| !document.bind.iter().any(|table| table.group.is_some())) {
        let diagnostic = checked.at(group, "this policy is bound to no group whose calls `group` could limit");
        checked.push(diagnostic.help("add `[[bind]]` with `group`, or take `group` out"));
    }
    Some(Policy { name: name?, control: control?, settings: settings?, bindings })
}

pub fn period(word: UnitWord) -> Period {
    match word {
        UnitWord::Second => Period::Second,
        UnitWord::Minute => Period::Minute,
        UnitWord::Hour => Period::Hour,
        UnitWord::Day => Period::Day,
    }
}

/// A limit, which may be no more than its period's counters can count.
pub fn limit(key: &str, value: &At<i64>, period: Option<Period>, lowest: u64, checked: &mut Checked<'_>) -> Option<u64> {
    let most = match period {
        Some(Period::Second) => MOST_PER_SECOND,
        Some(Period::Minute) => MOST_PER_MINUTE,
        _ => *LIMIT.end(),
    };
    checked.number(key, value, lowest..=most)
}

fn by_caller(document: &Document, callers: &Callers, checked: &mut Checked<'_>) -> Option<ByCaller> {
    let unit = document.unit.as_ref().map(|unit| period(unit.value));
    for (key, missing) in [("unit", unit.is_none()), ("api", document.api.is_none())] {
        if missing {
            let diagnostic = checked.at(&document.kind, format!("this policy has no `{key}`"));
            checked.push(diagnostic.help(
                "limits by who calls have `unit` and `api`, and may have `user` and `app`; limits by parameters have `default_limit` \
                 and `default_period`",
            ));
        }
    }
    let keys = [("api", &document.api), ("user", &document.user), ("app", &document.app), ("group", &document.group)];
    let [api, user, app, group] =
        keys.map(|(key, value)| value.as_ref().map(|at| (key, at, limit(key, at, unit, *LIMIT.start(), checked))));
    // Each at most the one before it.
    let mut above = api;
    for of in [user, app].into_iter().flatten() {
        if let Some(above) = above {
            at_most(of, above, checked);
        }
        above = Some(of);
    }
    if let (Some(group), Some(api)) = (group, api) {
        at_most(api, group, checked);
    }
    let mut specials = Specials::default();
    for table in &document.special {
        special(table, callers, unit, api, &mut specials, checked);
    }
    let good = |of: Option<Named<'_>>| of.map_or(Some(None), |(_, _, limit)| limit.map(Some));
    Some(ByCaller {
        unit: unit?,
        api: api?.2?,
        user: good(user)?,
        app: good(app)?,
        group: good(group)?,
        special_apps: specials.apps.into_iter().map(|(app, limit, _)| (app, limit)).collect(),
        special_owners: specials.owners.into_iter().map(|(owner, limit, _)| (owner, limit)).collect(),
    })
}

/// A limit by its key; `None`: it has an error of its own.
type Named<'a> = (&'static str, &'a At<i64>, Option<u64>);

fn at_most(of: Named<'_>, above: Named<'_>, checked: &mut Checked<'_>) {
    if let (Some(limit), Some(most)) = (of.2, above.2)
        && limit > most
    {
        let diagnostic = checked.at(of.1, format!("`{}` is at most `{}`: {limit} is more than {most}", of.0, above.0));
        checked.push(diagnostic.related(checked.place(above.1), format!("`{}`", above.0)));
    }
}

#[derive(Default)]
struct Specials {
    apps: Vec<(AppId, u64, Place)>,
    owners: Vec<(String, u64, Place)>,
}

fn special(
    table: &At<SpecialTable>,
    callers: &Callers,
    unit: Option<Period>,
    api: Option<Named<'_>>,
    specials: &mut Specials,
    checked: &mut Checked<'_>,
) {
    let limit = limit("limit", &table.limit, unit, *SPECIAL_LIMIT.start(), checked);
    if let Some(api) = api {
        at_most(("limit", &table.limit, limit), api, checked);
    }
    let limit = limit.unwrap_or_default();
    let twice = match (&table.app, &table.user) {
        (Some(app), None) => match callers.app(app) {
            Some(id) => {
                let first = specials.apps.iter().find(|(known, ..)| *known == id).map(|(.., place)| place.clone());
                specials.apps.push((id, limit, checked.place(app)));
                first.map(|first| (app, first))
            }
            None if callers.may_be(app) => None,
            None => {
                let near = nearest(app, callers.apps.iter().map(|app| &*app.name));
                checked.push(checked.at(app, format!("there is no app `{}`", app.value)).did_you_mean(near));
                None
            }
        },
        (None, Some(owner)) if callers.has_owner(owner) => {
            let first = specials.owners.iter().find(|(known, ..)| *known == owner.value).map(|(.., place)| place.clone());
            specials.owners.push((owner.value.clone(), limit, checked.place(owner)));
            first.map(|first| (owner, first))
        }
        (None, Some(_)) if !callers.broken.is_empty() => None,
        (None, Some(owner)) => {
            let near = nearest(owner, callers.apps.iter().filter_map(|app| app.owner.as_deref()));
            let diagnostic = checked.at(owner, format!("no app has the owner `{}`", owner.value)).did_you_mean(near);
            checked.push(diagnostic.note("`owner` of an app's document says whose it is"));
            None
        }
        _ => {
            checked.push(checked.at(table, "a special is of an app or of an owner").help("write `app` or `user`, one of them"));
            None
        }
    };
    if let Some((at, first)) = twice {
        checked.push(checked.at(at, format!("`{}` is special twice", at.value)).related(first, "first here"));
    }
}

/// `on_engine_loss`: of policies that do not say it.
fn settings(document: &Document, on_engine_loss: EngineLoss, checked: &mut Checked<'_>) -> Option<Settings> {
    let counted = document.rule.iter().map(|rule| &rule.period).chain(&document.unit).chain(&document.default_period);
    let periods: Vec<Period> = counted.map(|word| period(word.value)).collect();
    let per_second = per_second(document, periods.contains(&Period::Second), checked);
    let zone_ms = match &document.zone {
        Some(zone) if !periods.contains(&Period::Day) => {
            checked.push(checked.at(zone, "`zone` says when days begin, and nothing is counted by days here"));
            None
        }
        Some(at) => zone(at, checked),
        None => Some(0),
    };
    let fields = match document.fields.as_ref().map(|word| word.value) {
        None | Some(FieldsWord::None) => Fields::None,
        Some(FieldsWord::XRatelimit) => Fields::XRateLimit,
        Some(FieldsWord::Ratelimit) => Fields::RateLimit,
    };
    let on_engine_loss = document.on_engine_loss.as_ref().map_or(on_engine_loss, |word| super::cluster::engine_loss(word.value));
    Some(Settings { per_second: per_second?, zone_ms: zone_ms?, fields, on_engine_loss })
}

fn per_second(document: &Document, counts_seconds: bool, checked: &mut Checked<'_>) -> Option<PerSecond> {
    let [blocking, window] =
        [document.blocking.as_ref().map(|at| at.span.clone()), document.window.as_ref().map(|at| at.span.clone())];
    let fixed = document.window.as_ref().is_some_and(|window| window.value == WindowWord::Fixed);
    let quick = document.blocking.as_ref().is_some_and(|blocking| blocking.value == BlockingWord::QuickReturn);
    let [queue, wait] = [("queue", &document.queue), ("queue_wait_ms", &document.queue_wait_ms)];
    let written = [
        ("blocking", blocking),
        ("window", window),
        ("queue", queue.1.as_ref().map(|at| at.span.clone())),
        ("queue_wait_ms", wait.1.as_ref().map(|at| at.span.clone())),
    ];
    let mut good = true;
    for (key, span) in written {
        let Some(span) = span else { continue };
        let at = At { value: (), span };
        let problem = match key {
            _ if !counts_seconds => "is for limits a second, and there is none here",
            "queue" | "queue_wait_ms" if quick => "means nothing beside `blocking = \"quick-return\"`: nobody waits",
            "queue" | "queue_wait_ms" if fixed => "means nothing beside `window = \"fixed\"`: nobody waits",
            "blocking" if fixed && !quick => "does not go with `window = \"fixed\"`: who waited would be no nearer to a token",
            _ => continue,
        };
        checked.push(checked.at(&at, format!("`{key}` {problem}")));
        good = false;
    }
    let mut number = |(key, value): (&str, &Option<At<i64>>), range, default| match value {
        Some(value) => checked.number(key, value, range),
        None => Some(default),
    };
    let (queue, wait_ms) = (number(queue, QUEUE, DEFAULT_QUEUE), number(wait, QUEUE_WAIT_MS, DEFAULT_QUEUE_WAIT_MS));
    let (queue, wait_ms) = (queue?, wait_ms?);
    good.then_some(match (fixed, quick) {
        (true, _) => PerSecond::Fixed,
        (false, true) => PerSecond::Bucket { queue: 0, wait_ms: 0 },
        (false, false) => PerSecond::Bucket { queue, wait_ms },
    })
}

/// `UTC`, `+08:00`, `-03:30`: in milliseconds.
fn zone(zone: &At<String>, checked: &mut Checked<'_>) -> Option<i64> {
    let offset = |text: &str| -> Option<i64> {
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let (hours, minutes) = text.strip_prefix(['+', '-'])?.split_once(':')?;
        let two = |text: &str| text.parse::<i64>().ok().filter(|_| text.len() == 2 && !text.starts_with(['+', '-']));
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        (hours <= 14 && minutes < 60).then_some(sign * (hours * HOUR_MS + minutes * HOUR_MS / 60))
    };
    let found = if matches!(zone.as_str(), "UTC" | "Z") { Some(0) } else { offset(zone) };
    if found.is_none() {
        let diagnostic = checked.at(zone, format!("`{}` is not a zone", zone.value)).note(
            "allowed: `UTC`, or an offset such as `+08:00` or `-03:30`; a zone by its name would have days of 23 and 25 hours",
        );
        checked.push(diagnostic);
    }
    found
}

fn bind(table: &At<BindTable>, context: &Context<'_>, bound: &mut Bound, bindings: &mut Vec<Binding>, checked: &mut Checked<'_>) {
    let (at, target) = match (&table.api, &table.group) {
        (Some(api), None) => {
            (api, context.api(api, checked).and_then(|name| context.parts(name)).map(|(group, api)| (group, Some(api))))
        }
        (None, Some(group)) => (group, context.group(group, checked).map(|group| (group, None))),
        _ => {
            let diagnostic = checked.at(table, "a policy is bound to an API or to a group");
            return checked.push(diagnostic.help("write `api = \"GROUP/API\"` or `group`, one of them"));
        }
    };
    let stages = context.stages(at, &table.stages, "a binding", checked);
    let Some((group, api)) = target else { return };
    for (stage, named) in stages {
        if let Some(first) = bound.0.insert((group, api.clone(), stage), checked.place(at)) {
            let message = format!("`{}` has two traffic control policies in {}", at.value, named.value);
            checked.push(checked.at(at, message).related(first, "first here"));
            continue;
        }
        bindings.push(Binding { group, api: api.clone(), stage });
    }
}
