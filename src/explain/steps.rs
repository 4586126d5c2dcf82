//! What the gate's steps found, in words.

use super::Step;
use super::places::{Part, Places};
use crate::catalog::{Api, ApiId, AppId, Catalog, Group, MethodSet, Scheme, Segment};
use crate::document::Place;
use crate::document::limits::Limit;
use crate::gate::authenticate::Credential;
use crate::gate::map::write_query;
use crate::gate::trace::{HowNamed, Observer, Seen};
use crate::gate::{Call, ErrorCode, Refusal};
use crate::http::field::FieldId;
use crate::http::serialise::HeadWriter;
use crate::http::target::host_of;

/// The steps that passed, in their order.
#[derive(Default)]
pub struct Watch(Vec<Seen>);

impl Observer for Watch {
    fn saw(&mut self, step: Seen) {
        self.0.push(step);
    }
}

/// Names of the steps, as the gate takes them.
const NAMES: [&str; 9] = ["domain", "base path", "stage", "API", "protocol", "body", "authenticate", "authorize", "admit"];

/// Longest message of a refusal, in bytes.
const MESSAGE_BYTES: usize = 16 * 1024;

pub fn told(
    watch: &Watch,
    call: &Call<'_>,
    admitted: Option<(String, Option<Place>)>,
    catalog: &Catalog,
    places: &Places<'_>,
) -> Vec<Step> {
    let host = host_of(&call.request, &call.target).map(text).unwrap_or_default();
    let mut steps = vec![Step {
        name: "request",
        passed: true,
        says: format!(
            "{} {}, Host `{host}`, over {}",
            text(call.request.method()),
            target(call),
            if call.scheme == Scheme::Https { "https" } else { "http" }
        ),
        place: None,
    }];
    let group = of_group(watch, catalog);
    let api = watch.0.iter().find_map(|seen| match seen {
        Seen::Api(route) => catalog.apis.get(route.api.index()),
        _ => None,
    });
    for (seen, name) in watch.0.iter().zip(NAMES) {
        let (says, place) = match seen {
            Seen::Domain(how) => (domain(*how, &host), group.and_then(|group| places.domain(group, *how, &host))),
            Seen::Group { base_end, .. } => {
                let path = text(call.target.path.get(..*base_end).unwrap_or_default());
                let path = if path.is_empty() { "/".to_owned() } else { path };
                let name = group.map_or("", |group| &group.name);
                (
                    format!("`{path}` of the group `{name}`, the longest that fits"),
                    group.and_then(|group| places.base_path(group)),
                )
            }
            Seen::Stage { stage, bound } => {
                let name = catalog.stages.get(stage.index()).map_or("", String::as_str);
                let asked = text(call.request.field(FieldId::XCaStage).unwrap_or_default());
                let how = how_named(watch);
                let place = match (group, how) {
                    (Some(group), Some(how)) if *bound => places.binding(group, name, how, &host),
                    _ => None,
                };
                (format!("{name}, {}", stage_by(*bound, &asked)), place)
            }
            Seen::Api(route) => match api {
                Some(api) => (found(api, &route.path, call, catalog), places.api(api, Part::Path)),
                None => continue,
            },
            Seen::Protocol => ("the API takes it".to_owned(), api.and_then(|api| places.api(api, Part::Protocols))),
            Seen::Body => (body(call, api.map(|api| &**api), catalog), api.and_then(|api| limit_of_body(api, places))),
            Seen::Caller(None) => {
                ("the API asks for no credentials".to_owned(), api.and_then(|api| places.api(api, Part::Authentication)))
            }
            Seen::Caller(Some((app, credential))) => match catalog.apps.get(*app) {
                Some(app) => {
                    let key = text(call.request.field(FieldId::XCaKey).unwrap_or_default());
                    let by = by(*credential, &key);
                    (format!("the app `{}`, {by}", app.name), places.credential(app, *credential, &key))
                }
                None => continue,
            },
            Seen::Authorized => match (api, caller(watch)) {
                (Some(api), Some(id)) => authorized(api, id, catalog, places),
                _ => ("nobody needs to be".to_owned(), None),
            },
            Seen::Admitted => admitted.clone().unwrap_or_default(),
        };
        steps.push(Step { name, passed: true, says, place });
    }
    steps
}

/// The step that refused: the one after the last that passed.
/// `policy`: where its API is bound to one.
pub fn refused(
    refusal: &Refusal,
    watch: &Watch,
    api: &Option<ApiId>,
    app: &Option<AppId>,
    policy: Option<Place>,
    places: &Places<'_>,
) -> Step {
    let name = NAMES.get(watch.0.len()).copied().unwrap_or("request");
    let api = api.and_then(|api| places.catalog.apis.get(api.index()));
    let app = app.and_then(|app| places.catalog.apps.get(app));
    let place = match (name, api, app) {
        ("protocol", Some(api), _) => places.api(api, Part::Protocols),
        ("body", Some(api), _) => limit_of_body(api, places),
        ("authenticate", Some(api), _) => places.api(api, Part::Authentication),
        ("admit", ..) => policy,
        ("authorize", Some(api), Some(app)) => places.authorization(app, api, refusal.code == ErrorCode::A403EP),
        _ => None,
    };
    Step { name, passed: false, says: format!("{} {}", refusal.code.as_str(), message(refusal)), place }
}

/// What refuses a body that is too large, and did not say so beforehand: it was found when it was passed on.
pub fn too_large(refusal: &Refusal, api: ApiId, places: &Places<'_>) -> Step {
    let place = places.catalog.apis.get(api.index()).and_then(|api| limit_of_body(api, places));
    Step { name: "body", passed: false, says: format!("{} {}", refusal.code.as_str(), message(refusal)), place }
}

/// The limit of an API's body: its own, or that of the instance.
fn limit_of_body(api: &Api, places: &Places<'_>) -> Option<Place> {
    places.api(api, Part::Body).or_else(|| places.limit(Limit::BodyBytes))
}

/// The step that sends the call to HTTPS.
pub fn redirected(watch: &Watch, call: &Call<'_>, catalog: &Catalog, places: &Places<'_>) -> Step {
    let host = host_of(&call.request, &call.target).map(text).unwrap_or_default();
    let group = of_group(watch, catalog);
    let place = group.zip(how_named(watch)).and_then(|(group, how)| places.redirect(group, how, &host));
    Step { name: "protocol", passed: true, says: format!("`{host}` sends calls over http to https"), place }
}

/// The message of a refusal, as its answer has it.
pub fn message(refusal: &Refusal) -> String {
    let mut buffer = vec![0; MESSAGE_BYTES];
    let mut writer = HeadWriter::new(&mut buffer);
    refusal.write_message(&mut writer);
    let length = writer.finish().unwrap_or_default();
    text(&buffer[..length])
}

/// The call brings a signature, or names the key of one.
pub fn is_signed(call: &Call<'_>) -> bool {
    [FieldId::XCaKey, FieldId::XCaSignature].iter().any(|field| call.request.field(*field).is_some())
}

/// Path and query, without an AppCode.
fn target(call: &Call<'_>) -> String {
    let mut buffer = vec![0; MESSAGE_BYTES.max(call.request.target().len())];
    let mut writer = HeadWriter::new(&mut buffer);
    writer.bytes(call.target.path);
    write_query(call.target.query, true, &mut writer);
    let length = writer.finish().unwrap_or_default();
    text(&buffer[..length])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn domain(how: HowNamed, host: &str) -> String {
    let by = match how {
        HowNamed::Exact => "by its name",
        HowNamed::Wildcard => "by the longest wildcard that fits",
        HowNamed::Default => "the default domain of a group",
        HowNamed::Address => "by its address",
        HowNamed::Any => "by `*`, as no other domain fits",
    };
    format!("`{host}` is known, {by}")
}

fn of_group<'c>(watch: &Watch, catalog: &'c Catalog) -> Option<&'c Group> {
    watch.0.iter().find_map(|seen| match seen {
        Seen::Group { group, .. } => catalog.groups.get(group.index()),
        _ => None,
    })
}

fn how_named(watch: &Watch) -> Option<HowNamed> {
    watch.0.iter().find_map(|seen| match seen {
        Seen::Domain(how) => Some(*how),
        _ => None,
    })
}

fn stage_by(bound: bool, asked: &str) -> String {
    match (bound, asked) {
        (true, "") => "as the domain is bound to it".to_owned(),
        (true, asked) => format!("as the domain is bound to it; X-Ca-Stage `{asked}` makes no difference"),
        (false, "") => "as there is no X-Ca-Stage".to_owned(),
        (false, _) => "by X-Ca-Stage".to_owned(),
    }
}

fn found(api: &Api, path: &crate::gate::route::PathMatch, call: &Call<'_>, catalog: &Catalog) -> String {
    let group = catalog.groups.get(api.group.index()).map_or("", |group| &group.name);
    let methods = match &api.methods {
        MethodSet::Any => "ANY".to_owned(),
        MethodSet::These(list) => list.join(", "),
    };
    let mut says = format!("`{group}/{}`, version {}: {methods} {}", api.name, api.version, api.path);
    let names = api.path.segments.iter().filter_map(|segment| match segment {
        Segment::Parameter(name) => Some(name),
        _ => None,
    });
    for (name, span) in names.zip(&path.parameters) {
        says += &format!(", {name} = {}", text(span.of(call.target.path)));
    }
    if let Some(rest) = path.rest {
        says += &format!(", * = {}", text(rest.of(call.target.path)));
    }
    says
}

fn body(call: &Call<'_>, api: Option<&Api>, catalog: &Catalog) -> String {
    let most = api.and_then(|api| api.body_bytes).unwrap_or(catalog.limits.body_bytes);
    format!("{} bytes, of at most {most}", call.body_bytes)
}

fn by(credential: Credential, key: &str) -> String {
    match credential {
        Credential::AppCodeInHeader => "by its AppCode in the header".to_owned(),
        Credential::AppCodeInQuery => "by its AppCode in the query".to_owned(),
        Credential::Signature(method) => format!("by a signature ({}) with the app key {key}", method.as_str()),
    }
}

fn caller(watch: &Watch) -> Option<AppId> {
    watch.0.iter().find_map(|seen| match seen {
        Seen::Caller(caller) => caller.map(|(app, _)| app),
        _ => None,
    })
}

fn authorized(api: &Api, id: AppId, catalog: &Catalog, places: &Places<'_>) -> (String, Option<Place>) {
    let Some(app) = catalog.apps.get(id) else { return (String::new(), None) };
    let of = app.authorization(api.id, api.stage);
    let ends = of.and_then(|authorization| authorization.expires_ms);
    let ends = ends.and_then(|ms| jiff::Timestamp::from_millisecond(i64::try_from(ms).unwrap_or(i64::MAX)).ok());
    let until = ends.map_or("without an end".to_owned(), |time| format!("until {time}"));
    let stage = catalog.stages.get(api.stage.index()).map_or("", String::as_str);
    (format!("the app may call it in {stage}, {until}"), places.authorization(app, api, false))
}
