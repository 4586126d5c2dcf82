//! Which APIs a command is about.

use super::PublishError;
use crate::document::{Layout, Report, nearest};

/// As it was asked for.
pub enum Target {
    All,
    /// `GROUP/API`, or `GROUP` for all of its APIs.
    These(Vec<String>),
}

/// The names to choose from.
pub trait Known {
    /// What they are: `draft`.
    const WHAT: &'static str;
    fn groups(&mut self) -> Result<Vec<String>, PublishError>;
    fn apis(&mut self, group: &str) -> Result<Vec<String>, PublishError>;
}

impl Target {
    /// Group and API, each once, in order.
    pub fn resolve(&self, known: &mut impl Known) -> Result<Vec<(String, String)>, PublishError> {
        let mut targets = Vec::new();
        let groups = known.groups()?;
        match self {
            Self::All => {
                for group in groups {
                    targets.extend(of_group(known, &group)?);
                }
            }
            Self::These(names) => {
                for name in names {
                    let (group, api) = name.split_once('/').map_or((name.as_str(), None), |(group, api)| (group, Some(api)));
                    if !groups.iter().any(|known| known == group) {
                        return Err(unknown(known, "group", group, &groups));
                    }
                    match api {
                        None => targets.extend(of_group(known, group)?),
                        Some(api) => {
                            let apis = known.apis(group)?;
                            if !apis.iter().any(|known| known == api) {
                                return Err(unknown(known, &format!("API in group `{group}`, named"), api, &apis));
                            }
                            targets.push((group.to_owned(), api.to_owned()));
                        }
                    }
                }
            }
        }
        targets.sort();
        targets.dedup();
        Ok(targets)
    }
}

fn of_group<K: Known>(known: &mut K, group: &str) -> Result<Vec<(String, String)>, PublishError> {
    Ok(known.apis(group)?.into_iter().map(|api| (group.to_owned(), api)).collect())
}

fn unknown<K: Known>(_: &K, what: &str, name: &str, names: &[String]) -> PublishError {
    let hint = nearest(name, names.iter().map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
    PublishError::Request(format!("{}: there is no {what} `{name}`{}", K::WHAT, hint.unwrap_or_default()))
}

/// The drafts of a config directory.
pub struct Drafts<'l>(pub &'l Layout);

impl Known for Drafts<'_> {
    const WHAT: &'static str = "drafts";

    fn groups(&mut self) -> Result<Vec<String>, PublishError> {
        names(|report| self.0.directories(&self.0.groups(), report))
    }

    fn apis(&mut self, group: &str) -> Result<Vec<String>, PublishError> {
        names(|report| self.0.documents(&self.0.apis(group), report))
    }
}

fn names(list: impl FnOnce(&mut Report) -> Vec<crate::document::Entry>) -> Result<Vec<String>, PublishError> {
    let mut report = Report::default();
    let names = list(&mut report).into_iter().map(|entry| entry.name).collect();
    match report.is_empty() {
        true => Ok(names),
        false => Err(PublishError::Documents(report)),
    }
}
