//! Traffic control policies: how many calls may pass in a time.

use super::{AppId, Catalog, Condition, GroupId, Parameter, StageId};

pub struct Policy {
    pub name: String,
    pub control: Control,
    pub settings: Settings,
    /// One for each API or group and stage; none twice, and none that another policy has.
    pub bindings: Vec<Binding>,
}

/// What a policy is bound to.
pub struct Binding {
    pub group: GroupId,
    /// It need not be published yet. `None`: all APIs of the group that have no policy of their own.
    pub api: Option<String>,
    pub stage: StageId,
}

impl Binding {
    /// `GROUP/API` or `GROUP`, and the stage.
    pub fn names<'c>(&self, catalog: &'c Catalog) -> (String, &'c str) {
        let group = catalog.groups.get(self.group.index()).map_or("", |group| group.name.as_str());
        let stage = catalog.stages.get(self.stage.index()).map_or("", String::as_str);
        let target = self.api.as_ref().map_or_else(|| group.to_owned(), |api| format!("{group}/{api}"));
        (target, stage)
    }
}

pub enum Control {
    Callers(ByCaller),
    Parameters(ByParameters),
}

/// Limits by who calls.
pub struct ByCaller {
    pub unit: Period,
    pub api: u64,
    pub user: Option<u64>,
    pub app: Option<u64>,
    pub group: Option<u64>,
    /// None twice.
    pub special_apps: Vec<(AppId, u64)>,
    pub special_owners: Vec<(String, u64)>,
}

/// Limits by parameters of the call.
pub struct ByParameters {
    pub scope: Scope,
    pub limit: u64,
    pub period: Period,
    pub retry_after_s: Option<u32>,
    pub parameters: Vec<Parameter>,
    pub rules: Vec<Rule>,
}

#[derive(Clone)]
pub struct Rule {
    pub name: String,
    /// Places in [`ByParameters::parameters`].
    pub by: Vec<usize>,
    pub limit: u64,
    pub period: Period,
    /// `None`: every call.
    pub condition: Option<Condition>,
    pub bypass_empty_value: bool,
    pub retry_after_s: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each API counts on its own.
    Api,
    /// All that the policy is bound to count together.
    Policy,
}

/// What holds for every limit of a policy.
pub struct Settings {
    pub per_second: PerSecond,
    /// How far the clock by which days begin is ahead of UTC.
    pub zone_ms: i64,
    pub fields: Fields,
    pub on_engine_loss: EngineLoss,
}

/// What a gateway does with a limit when the engine of its cluster cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EngineLoss {
    /// Gives out what it has leased, and no more.
    Refuse,
    /// Gives out a part of the limit, one for each gateway.
    #[default]
    LocalShare,
    /// Counts by itself, as if it were alone.
    Allow,
}

/// How limits a second are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerSecond {
    Fixed,
    /// Tokens; so many calls wait at most, and for so long.
    Bucket {
        queue: u64,
        wait_ms: u64,
    },
}

/// What answers say of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    None,
    XRateLimit,
    RateLimit,
}

/// How long a window is. Windows are aligned: a minute begins with second 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    Second,
    Minute,
    Hour,
    Day,
}

impl Period {
    pub const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    pub const fn ms(self) -> u64 {
        match self {
            Self::Second => 1000,
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// `minute`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// `a minute`.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Second => "a second",
            Self::Minute => "a minute",
            Self::Hour => "an hour",
            Self::Day => "a day",
        }
    }
}
