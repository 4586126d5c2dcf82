//! `lockgate quota`: what has been used of quotas, and what is left. It reads the counters where the gateways count, so that
//! what it shows is of this moment, over all workers and processes.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::{Failure, now_ms, plain};
use crate::catalog::{self, Catalog, Cluster};
use crate::cluster::Outside;
use crate::gate::policy::list::Listed;
use crate::gate::policy::used::Standing;
use crate::gate::quota::Quotas;
use crate::gate::quota::bucket;
use crate::gate::quota::look::{Level, Reset, Seen};
use crate::gate::quota::window::Window;
use crate::gate::{Shared, Tables};
use crate::state;

/// How often a reset that finds workers counting is tried again, and after how long.
const TRIES: usize = 2000;
const TRY_EVERY: std::time::Duration = std::time::Duration::from_millis(1);

/// Show what has been used of quotas and what is left, over all workers; or begin one anew
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Quota {
    #[command(subcommand)]
    order: Option<Order>,
    #[command(flatten)]
    show: Show,
}

#[derive(Subcommand)]
enum Order {
    /// Give a subject all of its limit again, in every rule of a policy that counts it
    Reset(ResetOne),
}

#[derive(Args)]
struct Show {
    /// Of this policy only; `default-domain` for the quotas of default domains
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Of each rule, as many subjects that have used most
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Args)]
struct ResetOne {
    /// `default-domain` for the quotas of default domains
    policy: String,
    /// An app, an owner, a group, a GROUP/API, or the value of a parameter; all values, in their order, where a rule counts by
    /// several
    #[arg(required = true)]
    subject: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// An array of objects, one for each subject
    Json,
}

/// One subject under one rule.
#[derive(Serialize)]
struct Row {
    policy: String,
    /// The rule's own name.
    rule: String,
    /// `GROUP/API`, or `GROUP`; empty: all that the policy is bound to.
    target: String,
    stage: String,
    /// What the subject is.
    counts: &'static str,
    subject: String,
    unit: &'static str,
    limit: u64,
    used: u64,
    left: u64,
    /// Until all of it is there again.
    resets_in_s: u64,
}

impl Quota {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let directory = catalog::state_directory(config)?;
        let counters = state::counters(&directory).map_err(|error| Failure::new(error.to_string()))?;
        let catalog = Arc::new(catalog::load_counted(config)?);
        let cluster = catalog.cluster.clone();
        let counters = match &cluster {
            Some(cluster) => counters.of_node(cluster.key.0, Arc::default()),
            None => counters,
        };
        let shared = Shared::looking_at(&catalog, counters);
        let tables = Tables::build(catalog, &shared);
        let connect = |cluster: &Arc<Cluster>| Outside::connect(cluster, &shared.quotas).map_err(Failure::new);
        let outside = cluster.as_ref().map(connect).transpose()?;
        match self.order {
            None => self.show.run(&tables, &shared.quotas, outside, out),
            Some(Order::Reset(reset)) => reset.run(&tables, &shared.quotas, outside, out),
        }
    }
}

impl Show {
    fn run(&self, tables: &Tables, quotas: &Quotas, outside: Option<Outside>, out: &mut dyn Write) -> Result<(), Failure> {
        let mut rows = self.rows(tables, quotas, outside)?;
        // Rules in order; of each, who has used most.
        let key = |row: &Row| (row.policy.clone(), row.target.clone(), row.stage.clone(), row.counts, row.rule.clone());
        rows.sort_by(|a, b| key(a).cmp(&key(b)).then(b.used.cmp(&a.used)).then(a.subject.cmp(&b.subject)));
        let (mut of_rule, mut shown) = (0, Vec::<Row>::new());
        for row in rows {
            of_rule = if shown.last().is_some_and(|last| key(last) == key(&row)) { of_rule + 1 } else { 1 };
            if of_rule <= self.top {
                shown.push(row);
            }
        }
        match self.format {
            Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&shown).map_err(std::io::Error::from)?)?,
            Format::Text => table(&shown, out)?,
        }
        Ok(())
    }

    fn rows(&self, tables: &Tables, quotas: &Quotas, outside: Option<Outside>) -> Result<Vec<Row>, Failure> {
        let (now_ms, catalog) = (now_ms()?, &*tables.catalog);
        let listed = tables.policies.list(catalog);
        if let Some(name) = &self.policy
            && !listed.values().any(|rule| rule.policy == name)
        {
            return Err(no_policy(name));
        }
        let is_wanted = |rule: &&Listed<'_>| self.policy.as_ref().is_none_or(|name| rule.policy == name);
        let mut seen: Vec<Seen> =
            quotas.counters().filter(|seen| listed.get(&seen.rule).is_some_and(|rule| is_wanted(&rule))).collect();
        if let Some(mut outside) = outside {
            add_elsewhere(&mut seen, &mut outside)?;
        }
        let row = |seen: Seen| row(listed.get(&seen.rule)?, &seen.subject, seen.level, catalog, now_ms);
        Ok(seen.into_iter().filter_map(row).collect())
    }
}

/// Adds what other gateways of the cluster have been given.
fn add_elsewhere(seen: &mut [Seen], outside: &mut Outside) -> Result<(), Failure> {
    let windows: Vec<(u64, Window)> = seen.iter().filter_map(|seen| Some((seen.id, seen.level.window()?))).collect();
    let mut elsewhere = outside.elsewhere(&windows).map_err(Failure::new)?.into_iter();
    let buckets: Vec<u64> = seen.iter().filter(|seen| seen.level.window().is_none()).map(|seen| seen.id).collect();
    let mut taken = outside.taken_until_ms(&buckets).map_err(Failure::new)?.into_iter();
    for seen in seen {
        match &mut seen.level {
            Level::Window { used, .. } => *used += elsewhere.next().unwrap_or(0),
            Level::Bucket(word) => *word = taken.next().flatten().map_or(0, bucket::taken_until),
        }
    }
    Ok(())
}

fn no_policy(name: &str) -> Failure {
    let text = format!("no policy `{name}` counts anything that is published");
    Failure::new(text + "\n  help: `lockgate policy list` has them; `default-domain` stands for the quotas of default domains")
}

/// `None`: nothing is used of it now.
fn row(rule: &Listed<'_>, subject: &[u8], level: Level, catalog: &Catalog, now_ms: u64) -> Option<Row> {
    let limit = rule.limit(subject, catalog);
    let Standing { used, left, whole_in_ms } = limit.standing(level, now_ms)?;
    Some(Row {
        policy: rule.policy.to_owned(),
        rule: rule.name().to_owned(),
        target: rule.target.clone(),
        stage: rule.stage.to_owned(),
        counts: rule.whom(),
        subject: String::from_utf8_lossy(subject).into_owned(),
        unit: limit.period.name(),
        limit: limit.limit,
        used,
        left,
        resets_in_s: whole_in_ms.div_ceil(1000),
    })
}

fn table(rows: &[Row], out: &mut dyn Write) -> std::io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "nothing has been used of any quota in the windows of now");
    }
    let head = ["policy", "target", "stage", "counts", "subject", "used", "left", "limit", "anew in"].map(String::from);
    let mut lines = vec![head];
    for row in rows {
        let limit = format!("{} a {}", row.limit, row.unit);
        let line = [&row.policy, &row.target, &row.stage].map(|text| plain(text));
        let [policy, target, stage] = line;
        let subject = plain(&row.subject);
        let numbers = [row.used, row.left].map(|number| number.to_string());
        let [used, left] = numbers;
        lines.push([policy, target, stage, row.counts.to_owned(), subject, used, left, limit, format!("{} s", row.resets_in_s)]);
    }
    let mut widths = [0; 9];
    for line in &lines {
        widths.iter_mut().zip(line).for_each(|(width, cell)| *width = cell.chars().count().max(*width));
    }
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

impl ResetOne {
    fn run(&self, tables: &Tables, quotas: &Quotas, outside: Option<Outside>, out: &mut dyn Write) -> Result<(), Failure> {
        let listed = tables.policies.list(&tables.catalog);
        let rules: Vec<_> = listed.values().filter(|rule| rule.policy == self.policy).collect();
        if rules.is_empty() {
            return Err(no_policy(&self.policy));
        }
        let mut outside = outside;
        let subject: Vec<&[u8]> = self.subject.iter().map(|part| part.as_bytes()).collect();
        let mut done = 0;
        for id in rules.iter().flat_map(|rule| rule.counters_of(&subject, quotas)) {
            done += usize::from(match (&mut outside, quotas.level(id).and_then(Level::window)) {
                // This gateway hears of it like all others.
                (Some(outside), Some(window)) => outside.reset(id, window).map(|()| true).map_err(Failure::new)?,
                (Some(outside), None) if quotas.level(id).is_some() => {
                    outside.fill(id).map_err(Failure::new)?;
                    reset(quotas, id)?
                }
                _ => reset(quotas, id)?,
            });
        }
        let subject = self.subject.join(" ");
        match done {
            0 => Err(Failure::new(format!("policy `{}` has counted nothing of `{subject}`", self.policy))),
            1 => Ok(writeln!(out, "1 counter of {subject} begun anew")?),
            _ => Ok(writeln!(out, "{done} counters of {subject} begun anew")?),
        }
    }
}

/// False: there is no such counter.
fn reset(quotas: &Quotas, id: u64) -> Result<bool, Failure> {
    for _ in 0..TRIES {
        match quotas.reset(id) {
            Reset::Done => return Ok(true),
            Reset::NotThere => return Ok(false),
            Reset::InDoubt => std::thread::sleep(TRY_EVERY),
        }
    }
    Err(Failure::new("the workers count too fast for it: nothing is certain to have been begun anew; order it again"))
}
