//! Where in the documents stands what decided: the catalog knows values, the documents know their places.

use std::net::IpAddr;
use std::sync::Arc;

use crate::catalog::{Api, App, Catalog, Group, VpcAccess};
use crate::document::api::Api as Definition;
use crate::document::app;
use crate::document::gateway;
use crate::document::group;
use crate::document::limits::Limit;
use crate::document::policy;
use crate::document::version::Version;
use crate::document::{At, Document, Layout, Parsed, Place, Report, Source, vpc_access};
use crate::gate::authenticate::Credential;
use crate::gate::trace::HowNamed;

pub struct Places<'a> {
    pub layout: &'a Layout,
    pub catalog: &'a Catalog,
}

/// A part of an API's definition.
#[derive(Clone, Copy)]
pub enum Part {
    Path,
    Protocols,
    /// Its limit of a body, if it has one of its own.
    Body,
    Authentication,
    Backend,
}

impl Places<'_> {
    fn parse<T: Document>(&self, path: &std::path::Path) -> Option<Parsed<T>> {
        self.layout.parse(path, &mut Report::default())
    }

    fn group_document(&self, group: &Group) -> Option<Parsed<group::Group>> {
        self.parse(&self.layout.group(&group.name))
    }

    /// The domain of a group under which a Host was found.
    pub fn domain(&self, group: &Group, how: HowNamed, host: &str) -> Option<Place> {
        let parsed = self.group_document(group)?;
        let document = &parsed.document;
        let found = match how {
            HowNamed::Default => Some(&document.name),
            _ => matching(document.domains.iter().flatten(), how, host),
        };
        found.map(|at| Place::of(&parsed.source, at))
    }

    /// Where the domain of a group under which a Host was found is bound to a stage.
    pub fn binding(&self, group: &Group, stage: &str, how: HowNamed, host: &str) -> Option<Place> {
        let parsed = self.group_document(group)?;
        let (_, table) = parsed.document.stage.iter().find(|(name, _)| name.value == stage)?;
        matching(table.domains.iter().flatten(), how, host).map(|at| Place::of(&parsed.source, at))
    }

    /// Where the domain of a group under which a Host was found is sent to HTTPS.
    pub fn redirect(&self, group: &Group, how: HowNamed, host: &str) -> Option<Place> {
        let parsed = self.group_document(group)?;
        let domains = parsed.document.https_redirect.iter().flatten();
        let found = match how {
            HowNamed::Default => domains.into_iter().find(|domain| domain.eq_ignore_ascii_case(&group.default_domain)),
            _ => matching(domains, how, host),
        };
        found.map(|at| Place::of(&parsed.source, at))
    }

    /// The variables of its stage that an API's backend uses: name, value, and where that is given.
    pub fn variables(&self, api: &Api) -> Vec<(String, String, Place)> {
        let definition = self.definition(api).map(|(_, definition)| definition.backend);
        let group = self.catalog.groups.get(api.group.index()).and_then(|group| self.group_document(group));
        let stage = self.catalog.stages.get(api.stage.index());
        let (Some(backend), Some(group), Some(stage)) = (definition, group, stage) else { return Vec::new() };
        let Some((_, table)) = group.document.stage.iter().find(|(name, _)| name.value == *stage) else { return Vec::new() };
        let uses = |name: &str| [&backend.vpc_access, &backend.path].iter().any(|text| text.contains(&format!("#{name}#")));
        let used = table.variables.iter().filter(|(name, _)| uses(name));
        used.map(|(name, value)| (name.value.clone(), value.value.clone(), Place::of(&group.source, value))).collect()
    }

    pub fn base_path(&self, group: &Group) -> Option<Place> {
        let parsed = self.group_document(group)?;
        let at = parsed.document.base_path.as_ref().unwrap_or(&parsed.document.name);
        Some(Place::of(&parsed.source, at))
    }

    /// An API as it is published; of a draft that is only looked at as if it were, the draft.
    fn definition(&self, api: &Api) -> Option<(Arc<Source>, Definition)> {
        let group = &self.catalog.groups.get(api.group.index())?.name;
        let stage = self.catalog.stages.get(api.stage.index())?;
        let version = self.layout.version(stage, group, &api.name, &api.version);
        match version.exists() {
            true => self.parse::<Version>(&version).map(|parsed| (parsed.source, parsed.document.definition)),
            false => self.parse::<Definition>(&self.layout.api(group, &api.name)).map(|parsed| (parsed.source, parsed.document)),
        }
    }

    /// A part of an API.
    pub fn api(&self, api: &Api, part: Part) -> Option<Place> {
        let (source, definition) = self.definition(api)?;
        let place = |at: &dyn Spanned| Place { source: source.clone(), span: at.span() };
        Some(match part {
            Part::Path => place(&definition.request.path),
            Part::Protocols => match &definition.request.protocols {
                Some(protocols) => place(protocols),
                None => place(&definition.request.path),
            },
            Part::Body => place(definition.request.body_bytes.as_ref()?),
            Part::Authentication => place(&definition.authentication.kind),
            Part::Backend => place(&definition.backend.vpc_access),
        })
    }

    /// A limit of the instance, if its document says one.
    pub fn limit(&self, limit: Limit) -> Option<Place> {
        let parsed = self.parse::<gateway::Gateway>(&self.layout.gateway())?;
        parsed.document.limits.of(limit).map(|at| Place::of(&parsed.source, at))
    }

    fn app_document(&self, app: &App) -> Option<Parsed<app::App>> {
        self.parse(&self.layout.app(&app.name))
    }

    /// The credential of an app that a caller showed. Which of several AppCodes it was is not said: the first is.
    pub fn credential(&self, app: &App, credential: Credential, app_key: &str) -> Option<Place> {
        let parsed = self.app_document(app)?;
        let document = &parsed.document;
        let at = match credential {
            Credential::Signature(_) => {
                let keys = document.credential.iter().filter_map(|table| table.app_key.as_ref());
                document.app_key.iter().chain(keys).find(|key| key.value == app_key)
            }
            Credential::AppCodeInHeader | Credential::AppCodeInQuery => {
                let codes = document.credential.iter().flat_map(|table| [&table.app_code, &table.app_code_file]).flatten();
                document.app_code.iter().chain(&document.app_code_file).chain(codes).next()
            }
        };
        at.map(|at| Place::of(&parsed.source, at))
    }

    /// The `[[authorization]]` of an app for an API in its stage; its end, if it has one that is asked for. Without one,
    /// the app.
    pub fn authorization(&self, app: &App, api: &Api, end: bool) -> Option<Place> {
        let parsed = self.app_document(app)?;
        let group = &self.catalog.groups.get(api.group.index())?.name;
        let (name, stage) = (format!("{group}/{}", api.name), self.catalog.stages.get(api.stage.index())?);
        let is_for =
            |table: &&app::AuthorizationTable| table.api.value == name && table.stages.iter().any(|named| named.value == *stage);
        let at = match parsed.document.authorization.iter().find(is_for) {
            Some(table) => table.expires.as_ref().filter(|_| end).unwrap_or(&table.api),
            None => &parsed.document.name,
        };
        Some(Place::of(&parsed.source, at))
    }

    /// Where a policy is bound to an API in its stage, or to its group.
    pub fn policy(&self, policy: &str, api: &Api) -> Option<Place> {
        let parsed = self.parse::<policy::Policy>(&self.layout.policy(policy))?;
        let group = &self.catalog.groups.get(api.group.index())?.name;
        let (name, stage) = (format!("{group}/{}", api.name), self.catalog.stages.get(api.stage.index())?);
        let named = |table: &&At<policy::BindTable>| table.stages.iter().any(|named| named.value == *stage);
        let mut tables = parsed.document.bind.iter().filter(named);
        let at = tables.find_map(|table| {
            let api = table.api.as_ref().filter(|api| api.value == name);
            api.or(table.group.as_ref().filter(|known| known.value == *group))
        })?;
        Some(Place::of(&parsed.source, at))
    }

    pub fn vpc_access(&self, access: &VpcAccess) -> Option<Place> {
        let parsed = self.parse::<vpc_access::VpcAccess>(&self.layout.vpc_access(&access.name))?;
        Some(Place::of(&parsed.source, &parsed.document.name))
    }
}

/// The one of several domains under which a Host was found.
fn matching<'d>(mut domains: impl Iterator<Item = &'d At<String>>, how: HowNamed, host: &str) -> Option<&'d At<String>> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match how {
        HowNamed::Default => None,
        HowNamed::Any => domains.find(|domain| domain.value == "*"),
        HowNamed::Exact => domains.find(|domain| domain.eq_ignore_ascii_case(&host)),
        HowNamed::Wildcard => domains
            .filter(|domain| domain.strip_prefix('*').is_some_and(|suffix| host.ends_with(&suffix.to_ascii_lowercase())))
            .max_by_key(|domain| domain.len()),
        HowNamed::Address => domains.find(|domain| address(domain).is_some() && address(domain) == address(&host)),
    }
}

fn address(text: &str) -> Option<IpAddr> {
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Values of any type that know where they stand.
trait Spanned {
    fn span(&self) -> std::ops::Range<usize>;
}

impl<T> Spanned for At<T> {
    fn span(&self) -> std::ops::Range<usize> {
        self.span.clone()
    }
}
