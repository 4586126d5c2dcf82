//! The documents that are good by themselves, and the APIs in them, drafted and published.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{MethodSet, PathTemplate, each};
use crate::document::api::{self, Methods};
use crate::document::gateway::{Gateway, SchemeWord};
use crate::document::group::Group;
use crate::document::manifest::{GroupManifest, Manifest};
use crate::document::policy::Policy;
use crate::document::version::Version;
use crate::document::vpc_access::VpcAccess;
use crate::document::{At, Document, Entry, Layout, Parsed, Place, Report, Source};

pub struct Documents {
    pub gateway: Option<Parsed<Gateway>>,
    pub groups: BTreeMap<String, Parsed<Group>>,
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
        let directories = layout.directories(&layout.groups(), &mut errors);
        let read = |directory: &Entry| {
            let entries = layout.documents(&layout.apis(&directory.name), &mut Report::default());
            let apis = entries.into_iter().filter_map(|entry| {
                let parsed = good::<api::Api>(layout, &entry.path)?;
                Api::of(entry.name, &parsed.document, &parsed.source)
            });
            (apis.collect(), good(layout, &layout.group(&directory.name)))
        };
        for (directory, (apis, group)) in directories.iter().zip(each(&directories, read, |_| ())) {
            drafts.insert(directory.name.clone(), apis);
            if let Some(group) = group {
                groups.insert(directory.name.clone(), group);
            }
        }
        let entries = layout.documents(&layout.vpc_accesses(), &mut errors);
        let vpc_accesses = entries.into_iter().filter_map(|entry| good(layout, &entry.path)).collect();
        let entries = layout.documents(&layout.policies(), &mut errors);
        let policies = entries.into_iter().filter_map(|entry| good(layout, &entry.path)).collect();
        Self { gateway, groups, vpc_accesses, policies, drafts, published: published(layout) }
    }
}

fn published(layout: &Layout) -> BTreeMap<(String, String), Vec<Api>> {
    let Some(manifest) = good::<Manifest>(layout, &layout.manifest()) else { return BTreeMap::new() };
    let stages = manifest.document.stage.into_iter();
    let groups: Vec<(String, String, u64)> = stages
        .flat_map(|(stage, groups)| groups.into_iter().map(move |(group, entry)| (group, stage.clone(), entry.value.generation)))
        .collect();
    let read = |(group, stage, generation): &(String, String, u64)| {
        let of_group = good::<GroupManifest>(layout, &layout.group_manifest(stage, group, *generation))?;
        let apis = of_group.document.current.into_iter().filter_map(|(name, current)| {
            let parsed = good::<Version>(layout, &layout.version(stage, group, &name, &current.version))?;
            Api::of(name, &parsed.document.definition, &parsed.source)
        });
        Some(((group.clone(), stage.clone()), apis.collect()))
    };
    each(&groups, read, |_| ()).into_iter().flatten().collect()
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
