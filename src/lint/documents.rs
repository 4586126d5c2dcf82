//! The documents that are good by themselves, and the APIs in them, drafted and published.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{MethodSet, PathTemplate};
use crate::document::api::{self, Methods};
use crate::document::app::App;
use crate::document::gateway::{Gateway, SchemeWord};
use crate::document::group::Group;
use crate::document::manifest::{GroupManifest, Manifest};
use crate::document::policy::Policy;
use crate::document::version::Version;
use crate::document::vpc_access::VpcAccess;
use crate::document::{At, Document, Layout, Parsed, Place, Report, Source};

pub struct Documents {
    pub gateway: Option<Parsed<Gateway>>,
    pub groups: BTreeMap<String, Parsed<Group>>,
    pub apps: Vec<Parsed<App>>,
    pub vpc_accesses: Vec<Parsed<VpcAccess>>,
    pub policies: Vec<Parsed<Policy>>,
    /// By group.
    pub drafts: BTreeMap<String, Vec<Api>>,
    /// By group and stage.
    pub published: BTreeMap<(String, String), Vec<Api>>,
}

/// What an API's document says of the calls it takes.
pub struct Api {
    pub name: String,
    pub methods: MethodSet,
    pub path: PathTemplate,
    pub path_place: Place,
    /// Where the protocols are named; `None`: the API takes both.
    pub protocols: Option<(Vec<SchemeWord>, Place)>,
    /// It takes calls without credentials.
    pub is_open: bool,
}

impl Documents {
    pub fn read(layout: &Layout) -> Self {
        // Errors of reading are the catalog's to report.
        let mut errors = Report::default();
        let gateway = good(layout, &layout.gateway());
        let (mut groups, mut drafts) = (BTreeMap::new(), BTreeMap::new());
        for directory in layout.directories(&layout.groups(), &mut errors) {
            let entries = layout.documents(&layout.apis(&directory.name), &mut errors);
            let apis = entries.into_iter().filter_map(|entry| {
                let parsed = good::<api::Api>(layout, &entry.path)?;
                Api::of(entry.name, &parsed.document, &parsed.source)
            });
            drafts.insert(directory.name.clone(), apis.collect());
            if let Some(group) = good(layout, &layout.group(&directory.name)) {
                groups.insert(directory.name, group);
            }
        }
        let entries = layout.documents(&layout.apps(), &mut errors);
        let apps = entries.into_iter().filter_map(|entry| good(layout, &entry.path)).collect();
        let entries = layout.documents(&layout.vpc_accesses(), &mut errors);
        let vpc_accesses = entries.into_iter().filter_map(|entry| good(layout, &entry.path)).collect();
        let entries = layout.documents(&layout.policies(), &mut errors);
        let policies = entries.into_iter().filter_map(|entry| good(layout, &entry.path)).collect();
        Self { gateway, groups, apps, vpc_accesses, policies, drafts, published: published(layout) }
    }
}

fn published(layout: &Layout) -> BTreeMap<(String, String), Vec<Api>> {
    let mut published: BTreeMap<(String, String), Vec<Api>> = BTreeMap::new();
    let Some(manifest) = good::<Manifest>(layout, &layout.manifest()) else { return published };
    for (stage, groups) in manifest.document.stage {
        for (group, entry) in groups {
            let of_group = layout.group_manifest(&stage, &group, entry.generation);
            let Some(of_group) = good::<GroupManifest>(layout, &of_group) else { continue };
            let apis = of_group.document.current.into_iter().filter_map(|(name, current)| {
                let parsed = good::<Version>(layout, &layout.version(&stage, &group, &name, &current.version))?;
                Api::of(name, &parsed.document.definition, &parsed.source)
            });
            published.insert((group.clone(), stage.clone()), apis.collect());
        }
    }
    published
}

/// A document that can be read and has no errors of its own.
fn good<T: Document>(layout: &Layout, path: &std::path::Path) -> Option<Parsed<T>> {
    let mut report = Report::default();
    layout.parse(path, &mut report).filter(|_| report.is_empty())
}

impl Api {
    fn of(name: String, document: &api::Api, source: &Arc<Source>) -> Option<Self> {
        let request = &document.request;
        let path = PathTemplate::parse(&request.path).ok()?;
        let protocols = request.protocols.as_ref().map(|protocols| {
            let words = protocols.iter().map(|word| word.value).collect();
            (words, Place::of(source, protocols))
        });
        let is_open = document.authentication.kind.value == api::AuthenticationWord::None;
        let path_place = Place::of(source, &request.path);
        Some(Self { name, methods: methods(&request.method), path, path_place, protocols, is_open })
    }
}

fn methods(methods: &At<Methods>) -> MethodSet {
    match &methods.value {
        Methods::One(method) if method == "ANY" => MethodSet::Any,
        Methods::One(method) => MethodSet::These(vec![method.clone()]),
        Methods::Several(list) => MethodSet::These(list.iter().map(|method| method.value.clone()).collect()),
    }
}
