//! From the policies of a catalog to what calls are counted by.

use std::num::NonZeroU32;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};

use super::{Bound, Caller, Callers, Compiled, Counters, Limit, Limits, Pace, Parameters, Policies};
use crate::catalog::parameter::Location;
use crate::catalog::policy::{ByCaller, ByParameters, Control, Fields, PerSecond, Policy, Scope, Settings};
use crate::catalog::{Api, AppList, Catalog, Group, GroupId, Period, StageId, each};
use crate::gate::ErrorCode;
use crate::gate::quota::Quotas;

impl Policies {
    /// `before`: the policies of the catalog before, with which what has not changed is shared.
    pub fn build(catalog: &Catalog, quotas: &Quotas, before: Option<(&Self, &Catalog)>) -> Self {
        let mut policies = Self {
            by_api: [].into(),
            bound: [].into(),
            policies: [].into(),
            callers: [].into(),
            default_domains: default_domains(catalog),
        };
        let (of_apis, of_groups) = bindings(catalog);
        if of_apis.is_empty() && of_groups.is_empty() {
            return policies;
        }
        policies.policies = catalog.policies.iter().map(compiled).collect();
        let mut bound = Vec::new();
        // Of many groups, most are bound to nothing: of theirs no name is looked up.
        let in_stages: AHashSet<_> = of_apis.keys().map(|(group, stage, _)| (*group, *stage)).collect();
        policies.by_api = catalog
            .apis
            .iter()
            .map(|api| {
                let may_have_own = in_stages.contains(&(api.group, api.stage));
                let own = may_have_own.then(|| of_apis.get(&(api.group, api.stage, api.name.as_str()))).flatten();
                let place = *own.or_else(|| of_groups.get(&(api.group, api.stage)))?;
                let policy = &catalog.policies[place as usize];
                bound.push(Bound { policy: place, counters: counters(catalog, quotas, policy, api, own.is_none()) });
                NonZeroU32::new(bound.len() as u32)
            })
            .collect();
        policies.bound = bound.into();
        if catalog.policies.iter().any(|policy| matches!(policy.control, Control::Callers(_))) {
            policies.callers = callers(catalog, quotas, before);
        }
        policies
    }
}

fn default_domains(catalog: &Catalog) -> Box<[Limit]> {
    let (reason, name): (Arc<str>, Arc<str>) = ("daily quota of the default domain is used up".into(), "default-domain".into());
    let limit = |group: &Group| Limit {
        limit: group.default_domain_calls_per_day,
        period: Period::Day,
        pace: Pace::Window { zone_ms: 0 },
        loss: catalog.quota.on_engine_loss,
        code: ErrorCode::T429ID,
        reason: reason.clone(),
        retry_after_s: None,
        fields: Fields::None,
        name: name.clone(),
    };
    catalog.groups.iter().map(limit).collect()
}

type OfApis<'c> = AHashMap<(GroupId, StageId, &'c str), u32>;
type OfGroups = AHashMap<(GroupId, StageId), u32>;

/// Places of policies by what they are bound to.
fn bindings(catalog: &Catalog) -> (OfApis<'_>, OfGroups) {
    let (mut of_apis, mut of_groups) = (OfApis::new(), OfGroups::new());
    for (place, policy) in (0..).zip(&catalog.policies) {
        for binding in &policy.bindings {
            match &binding.api {
                Some(api) => drop(of_apis.insert((binding.group, binding.stage, api.as_str()), place)),
                None => drop(of_groups.insert((binding.group, binding.stage), place)),
            }
        }
    }
    (of_apis, of_groups)
}

fn callers(catalog: &Catalog, quotas: &Quotas, before: Option<(&Policies, &Catalog)>) -> Box<[Arc<[Caller]>]> {
    let known = |app: &crate::catalog::App| {
        let of_app = quotas.app(app.name.as_bytes());
        // An app without an owner is a user by itself, whatever owners are called.
        let owner = app.owner.as_ref().map_or(of_app, |owner| quotas.owner(owner.as_bytes()));
        Caller { app: of_app, owner }
    };
    let lists_before = before.map_or_else(Default::default, |(policies, catalog)| {
        let lists = catalog.apps.lists().iter().map(address);
        lists.zip(&policies.callers).collect::<AHashMap<_, _>>()
    });
    let of_list = |list: &Arc<AppList>| match lists_before.get(&address(list)) {
        Some(&same) => same.clone(),
        None => list.apps().iter().map(known).collect(),
    };
    each(catalog.apps.lists(), of_list, |_| ()).into()
}

/// Of what is still there, its address says which it is.
fn address(list: &Arc<AppList>) -> usize {
    Arc::as_ptr(list).addr()
}

/// What the rules of a policy are known by at an API. A rule of another period, or counted in another way, is another one.
fn counters(catalog: &Catalog, quotas: &Quotas, policy: &Policy, api: &Api, by_group: bool) -> Counters {
    let (group, stage) = (&catalog.groups[api.group.index()], &catalog.stages[api.stage.index()]);
    let place = [group.name.as_bytes(), api.name.as_bytes(), stage.as_bytes()];
    let rule = |what: &str, name: &str, [group, api, stage]: [&[u8]; 3], period| {
        let counted = match (period, policy.settings.per_second) {
            (Period::Second, PerSecond::Bucket { .. }) => "bucket",
            (period, _) => period.name(),
        };
        quotas.id(&[policy.name.as_bytes(), what.as_bytes(), name.as_bytes(), group, api, stage, counted.as_bytes()])
    };
    match &policy.control {
        Control::Callers(limits) => {
            let of_group = limits.group.filter(|_| by_group).map(|calls| {
                let limit = Limit {
                    code: ErrorCode::T429GR,
                    reason: group.default_domain.as_str().into(),
                    ..limit(policy, "group", calls, limits.unit, ErrorCode::T429GR)
                };
                (rule("group", "", [place[0], b"", place[2]], limits.unit), limit)
            });
            Counters::Callers {
                api: rule("api", "", place, limits.unit),
                user: rule("user", "", place, limits.unit),
                app: rule("app", "", place, limits.unit),
                group: of_group,
            }
        }
        Control::Parameters(limits) => {
            let place = if limits.scope == Scope::Policy { [&b""[..]; 3] } else { place };
            Counters::Parameters {
                default: rule("default", "", place, limits.period),
                rules: limits.rules.iter().map(|of| rule("rule", &of.name, place, of.period)).collect(),
            }
        }
    }
}

fn compiled(policy: &Policy) -> Compiled {
    let limits = match &policy.control {
        Control::Callers(limits) => Limits::Callers(by_caller(policy, limits).into()),
        Control::Parameters(limits) => Limits::Parameters(by_parameters(policy, limits)),
    };
    Compiled { name: policy.name.clone(), limits }
}

fn by_caller(policy: &Policy, limits: &ByCaller) -> Callers {
    let limit = |what: &str, calls| limit(policy, what, calls, limits.unit, ErrorCode::T429PA);
    Callers {
        api: limit("api", limits.api),
        user: limits.user.map(|calls| limit("user", calls)),
        app: limits.app.map(|calls| limit("app", calls)),
        special_apps: limits.special_apps.iter().map(|&(app, calls)| (app, limit("special app", calls))).collect(),
        special_owners: limits
            .special_owners
            .iter()
            .map(|(owner, calls)| (owner.clone(), limit("special user", *calls)))
            .collect(),
    }
}

fn by_parameters(policy: &Policy, limits: &ByParameters) -> Parameters {
    let limit = |what: &str, calls, period, retry_after_s| Limit {
        retry_after_s,
        ..limit(policy, what, calls, period, ErrorCode::T429PR)
    };
    let rule = |rule: &crate::catalog::policy::Rule| {
        let of = limit(&format!("rule {}", rule.name), rule.limit, rule.period, rule.retry_after_s.or(limits.retry_after_s));
        (rule.clone(), of)
    };
    Parameters {
        default: limit("default", limits.limit, limits.period, limits.retry_after_s),
        parameters: limits.parameters.clone().into(),
        need_form: limits.parameters.iter().any(|parameter| matches!(parameter.location, Location::Form(_))),
        rules: limits.rules.iter().map(rule).collect(),
    }
}

fn limit(policy: &Policy, what: &str, limit: u64, period: Period, code: ErrorCode) -> Limit {
    let Settings { per_second, zone_ms, fields, on_engine_loss } = policy.settings;
    Limit {
        limit,
        period,
        pace: pace(limit, period, per_second, zone_ms),
        loss: on_engine_loss,
        code,
        reason: format!("{what} limit of policy {}: {limit} {}", policy.name, period.in_words()).into(),
        retry_after_s: None,
        fields,
        name: format!("{}; {what}", policy.name).into(),
    }
}

fn pace(limit: u64, period: Period, per_second: PerSecond, zone_ms: i64) -> Pace {
    match (period, per_second) {
        // Whoever waits longest gets its token in time.
        (Period::Second, PerSecond::Bucket { queue, wait_ms }) => Pace::Bucket { queue: queue.min(limit * wait_ms / 1000) },
        (Period::Day, _) => Pace::Window { zone_ms },
        _ => Pace::Window { zone_ms: 0 },
    }
}
