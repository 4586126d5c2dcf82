//! The kinds of documents: the one table that the schema, the reference, `fmt` and the `#:schema` lines go by.

use std::path::Path;

use schemars::JsonSchema;
use serde_json::Value;

use super::{Document, api, app, gateway, group, manifest, policy, schema, version, vpc_access};

/// A kind of document.
pub struct Kind {
    pub name: &'static str,
    pub about: &'static str,
    /// Where its documents lie in a config directory; [`CHOSEN`] stands for what people name.
    pub place: &'static str,
    /// Written by commands alone, and never edited.
    pub published: bool,
    /// The longest document, in bytes.
    pub bytes: u64,
    schema: fn() -> Value,
}

/// A part of a place that is not given by the kind.
pub const CHOSEN: &str = "NAME";

/// One line a kind.
pub static KINDS: &[Kind] = &[
    Kind::drafted::<gateway::Gateway>("gateway", "gateway.toml", "The instance"),
    Kind::drafted::<vpc_access::VpcAccess>(
        "vpc-access",
        "vpc-access/NAME.toml",
        "A VPC access: private addresses that APIs may be passed to",
    ),
    Kind::drafted::<group::Group>("group", "groups/NAME/group.toml", "An API group"),
    Kind::drafted::<api::Api>("api", "groups/NAME/apis/NAME.toml", "An API, as it is drafted"),
    Kind::drafted::<app::App>("app", "apps/NAME.toml", "An app, its credentials, and what it may call"),
    Kind::drafted::<app::AppList>("app-list", "app-lists/NAME.toml", "Many apps in one document"),
    Kind::drafted::<policy::Policy>("policy", "policies/NAME.toml", "A policy: how many calls may pass in a time"),
    Kind::published::<version::Version>("version", "published/NAME/NAME/NAME/NAME.toml", "An API as it was published once"),
    Kind::published::<manifest::Manifest>("manifest", "published/manifest.toml", "Which manifests of groups are current"),
    Kind::published::<manifest::Manifest>("generation", "published/generations/NAME.toml", "The manifest, as it was once"),
    Kind::published::<manifest::GroupManifest>(
        "group-manifest",
        "published/NAME/NAME/NAME.toml",
        "Which version of each API of a group is current in a stage",
    ),
];

impl Kind {
    const fn drafted<T: Document + JsonSchema>(name: &'static str, place: &'static str, about: &'static str) -> Self {
        Self { name, about, place, published: false, bytes: T::BYTES, schema: schema::of::<T> }
    }

    const fn published<T: Document + JsonSchema>(name: &'static str, place: &'static str, about: &'static str) -> Self {
        Self { published: true, ..Self::drafted::<T>(name, place, about) }
    }

    pub fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// The kind of the document at a path within a config directory.
    pub fn at(place: &Path) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.is_at(place))
    }

    fn is_at(&self, place: &Path) -> bool {
        let (mut wanted, mut given) = (self.place.split('/'), place.iter());
        loop {
            match (wanted.next(), given.next().map(|part| part.to_string_lossy())) {
                (None, None) => return true,
                (Some(CHOSEN), Some(_)) => {}
                (Some(file), Some(part)) if file.strip_prefix(CHOSEN).is_some_and(|end| part.ends_with(end)) => {}
                (Some(wanted), Some(part)) if part == wanted => {}
                _ => return false,
            }
        }
    }

    /// The JSON Schema of its documents.
    pub fn schema(&self) -> Value {
        let mut schema = (self.schema)();
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("title".into(), format!("Lockgate: {}", self.place).into());
            schema.insert("description".into(), self.about.into());
        }
        schema
    }

    /// The file of [`Self::schema`] within a config directory.
    pub fn schema_file(&self) -> String {
        format!("{SCHEMAS}/{}.json", self.name)
    }

    /// The line at the head of a document that tells editors where its schema is, relative to the document.
    pub fn schema_line(&self) -> String {
        let up = "../".repeat(self.place.matches('/').count());
        let here = if up.is_empty() { "./" } else { "" };
        format!("#:schema {here}{up}{}\n", self.schema_file())
    }
}

/// The directory of the schemas in a config directory. The dot keeps it out of every listing of documents.
const SCHEMAS: &str = ".schema";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_known_by_its_place() {
        let kind = |place: &str| Kind::at(Path::new(place)).map(|kind| kind.name);
        assert_eq!(kind("gateway.toml"), Some("gateway"));
        assert_eq!(kind("groups/g/group.toml"), Some("group"));
        assert_eq!(kind("groups/g/apis/a.toml"), Some("api"));
        assert_eq!(kind("published/RELEASE/g/a/20260101000000000.toml"), Some("version"));
        assert_eq!(kind("published/manifest.toml"), Some("manifest"));
        assert_eq!(kind("published/generations/7.toml"), Some("generation"));
        assert_eq!(kind("published/RELEASE/g/7.toml"), Some("group-manifest"));
        assert_eq!(kind("groups/g/apis/a.json"), None);
        assert_eq!(kind("apps/a/b.toml"), None);
    }

    #[test]
    fn the_schema_line_leads_to_the_schema() {
        assert_eq!(Kind::named("gateway").unwrap().schema_line(), "#:schema ./.schema/gateway.json\n");
        assert_eq!(Kind::named("api").unwrap().schema_line(), "#:schema ../../../.schema/api.json\n");
    }
}
