//! What calls are counted by, and nothing else, for those who look at counters from outside: policies, the groups that they
//! are bound to, and of apps the names that policies have limits of their own for. No app is read, nor any group that no
//! policy is bound to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Kept, Loader};
use crate::catalog::{App, Apps, Catalog};
use crate::document::{Layout, Report, policy};

/// What of a config directory is looked into.
#[derive(Default)]
pub(super) struct Counted {
    groups: BTreeSet<String>,
    apps: BTreeSet<String>,
    owners: BTreeSet<String>,
}

/// The catalog without what no policy is about: its apps are names, and belong to nobody who could call.
pub fn load_counted(config_dir: &Path) -> Result<Catalog, Report> {
    let mut loader = Loader::served(Layout::new(config_dir));
    loader.counted = Some(Counted::of(&loader.layout));
    let catalog = loader.catalog(&mut Kept::default());
    loader.finish(catalog)
}

impl Counted {
    /// What is wrong with a policy is said when all of them are checked.
    fn of(layout: &Layout) -> Self {
        let (mut counted, mut unsaid) = (Self::default(), Report::default());
        for entry in layout.documents(&layout.policies(), &mut unsaid) {
            let Some(parsed) = layout.parse::<policy::Policy>(&entry.path, &mut unsaid) else { continue };
            for table in &parsed.document.bind {
                let of_api = table.api.as_ref().and_then(|api| api.split_once('/')).map(|(group, _)| group.to_owned());
                counted.groups.extend(of_api);
                counted.groups.extend(table.group.as_ref().map(|group| group.value.clone()));
            }
            for table in &parsed.document.special {
                counted.apps.extend(table.app.as_ref().map(|app| app.value.clone()));
                counted.owners.extend(table.user.as_ref().map(|owner| owner.value.clone()));
            }
        }
        counted
    }

    pub fn has(&self, group: &str) -> bool {
        self.groups.contains(group)
    }

    /// Names, and nothing that anybody could call with.
    pub fn apps(&self) -> Apps {
        let mut owner_of: BTreeMap<&str, Option<&str>> = self.apps.iter().map(|app| (app.as_str(), None)).collect();
        // An owner is known by an app: the app that is called like the owner is as good as any.
        owner_of.extend(self.owners.iter().map(|owner| (owner.as_str(), Some(owner.as_str()))));
        let app = |(name, owner): (&str, Option<&str>)| App {
            name: name.into(),
            owner: owner.map(Into::into),
            keys: [].into(),
            app_codes: [].into(),
            authorizations: [].into(),
        };
        owner_of.into_iter().map(app).collect()
    }
}
