//! API definitions, drafted or published -> what an API is, apart from its stage and version.

use std::time::Duration;

use super::stages::GroupStages;
use super::variables::{self, Filled, Variables};
use super::{Checked, Names};
use crate::catalog::{
    AppCodePlace, Authentication, Backend, MethodSet, PathTemplate, Protocols, Segment, SignatureMethods, VpcAccessId,
};
use crate::document::api::{
    Api, AppCodeWord, AuthenticationTable, AuthenticationWord, BackendTable, METHODS, Methods, SignatureMethodWord, TIMEOUT_MS,
};
use crate::document::gateway::SchemeWord;
use crate::document::limits::BODY_BYTES;
use crate::document::{At, Diagnostic, Place, nearest};

const DEFAULT_TIMEOUT_MS: u64 = 10_000;

/// An API's definition, checked.
pub struct Definition {
    pub authentication: Authentication,
    pub protocols: Protocols,
    pub methods: MethodSet,
    pub path: PathTemplate,
    pub body_bytes: Option<u64>,
    pub upgrades: Vec<String>,
    pub backend: Backend,
}

/// What a definition is checked against.
pub struct Within<'a> {
    pub vpc_accesses: &'a Names<VpcAccessId>,
    /// Of the stage that it is published to.
    pub variables: Variables<'a>,
    /// The entry that makes a published definition current.
    pub manifest: Option<&'a Place>,
}

/// Checks a draft as it would be in every stage of its group that has the variables it names; where none has them all, in
/// the one that has the most.
pub fn draft(document: &Api, by_path: &str, vpc_accesses: &Names<VpcAccessId>, stages: &GroupStages, checked: &mut Checked<'_>) {
    let within = |stage| Within { vpc_accesses, variables: stages.variables(stage), manifest: None };
    let table = &document.backend;
    let named: Vec<&str> = [&table.vpc_access, &table.path].into_iter().flat_map(|text| variables::names(text)).collect();
    let has = |stage: &str| {
        let variables = stages.variables(stage);
        named.iter().filter(|name| variables.value(name).is_some()).count()
    };
    let mut all: Vec<(usize, &str)> = stages.names().into_iter().map(|stage| (has(stage), stage)).collect();
    all.sort_by_key(|(has, _)| std::cmp::Reverse(*has));
    let Some(&(_, first)) = all.first() else { return };
    let good = definition(document, by_path, &within(first), checked);
    let others = all.iter().skip(1).filter(|(has, _)| !named.is_empty() && *has == named.len());
    if let Some(good) = good {
        for (_, stage) in others {
            target(table, &document.request.path, Some(&good.path), &within(stage), checked);
        }
    }
}

/// `None` stands for errors in the report.
pub fn definition(document: &Api, by_path: &str, within: &Within<'_>, checked: &mut Checked<'_>) -> Option<Definition> {
    let name = checked.name("an API", &document.name, by_path);
    let authentication = authentication(&document.authentication, checked);
    let request = &document.request;
    let protocols = match &request.protocols {
        Some(protocols) => self::protocols(protocols, checked),
        None => Some(Protocols { http: true, https: true }),
    };
    let methods = methods(&request.method, checked);
    let path = template(&request.path, checked);
    let body_bytes = match &request.body_bytes {
        Some(bytes) => checked.number("body_bytes", bytes, BODY_BYTES).map(Some),
        None => Some(None),
    };
    let upgrades = request.upgrades.as_ref().map_or(Some(Vec::new()), |list| upgrades(list, checked));
    let backend = backend(&document.backend, &request.path, path.as_ref(), within, checked);
    name?;
    let (authentication, protocols, methods) = (authentication?, protocols?, methods?);
    let (path, body_bytes, upgrades, backend) = (path?, body_bytes?, upgrades?, backend?);
    Some(Definition { authentication, protocols, methods, path, body_bytes, upgrades, backend })
}

/// Protocols of HTTP and TLS would carry requests past the gateway.
fn upgrades(list: &[At<String>], checked: &mut Checked<'_>) -> Option<Vec<String>> {
    let mut known: Vec<String> = Vec::new();
    let mut good = true;
    for protocol in list {
        let start = protocol.to_ascii_lowercase();
        let problem = if !is_protocol(protocol) {
            format!("`{}` is not the name of a protocol", protocol.value)
        } else if ["h2", "h3", "http", "tls"].iter().any(|inner| start.starts_with(inner)) {
            format!("`{}` would carry requests past the gateway", protocol.value)
        } else if known.iter().any(|other| other.eq_ignore_ascii_case(protocol)) {
            format!("the protocol `{}` is listed twice", protocol.value)
        } else {
            known.push(protocol.value.clone());
            continue;
        };
        checked.push(checked.at(protocol, problem).note("allowed: names such as `websocket`, with or without `/VERSION`"));
        good = false;
    }
    good.then_some(known)
}

/// RFC 9110, section 7.8.
fn is_protocol(name: &str) -> bool {
    let mut parts = name.splitn(2, '/');
    parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)))
}

fn authentication(table: &AuthenticationTable, checked: &mut Checked<'_>) -> Option<Authentication> {
    if table.kind.value == AuthenticationWord::None {
        return Some(Authentication::None);
    }
    let app_code = match table.app_code.as_ref().map(|word| word.value) {
        None | Some(AppCodeWord::Off) => AppCodePlace::Off,
        Some(AppCodeWord::Header) => AppCodePlace::Header,
        Some(AppCodeWord::HeaderQuery) => AppCodePlace::HeaderQuery,
    };
    let methods = match &table.signature_methods {
        None => SignatureMethods { hmac_sha256: true, hmac_sha1: false },
        Some(words) => {
            let has = |method| words.iter().any(|word| word.value == method);
            if words.is_empty() && app_code == AppCodePlace::Off {
                let diagnostic = checked.at(words, "nobody could call this API: it takes neither signatures nor AppCodes");
                checked.push(diagnostic.note("allowed: `HMAC_SHA256`, `HMAC_SHA1`; or `app_code = \"header\"`"));
                return None;
            }
            SignatureMethods { hmac_sha256: has(SignatureMethodWord::HmacSha256), hmac_sha1: has(SignatureMethodWord::HmacSha1) }
        }
    };
    Some(Authentication::App { app_code, methods, require_nonce: table.require_nonce.unwrap_or(false) })
}

fn protocols(words: &At<Vec<At<SchemeWord>>>, checked: &mut Checked<'_>) -> Option<Protocols> {
    if words.is_empty() {
        checked.push(checked.at(words, "an API has at least one protocol").note("allowed: `http`, `https`"));
        return None;
    }
    let has = |scheme| words.iter().any(|word| word.value == scheme);
    Some(Protocols { http: has(SchemeWord::Http), https: has(SchemeWord::Https) })
}

fn methods(methods: &At<Methods>, checked: &mut Checked<'_>) -> Option<MethodSet> {
    let list: Vec<At<String>> = match &methods.value {
        Methods::One(method) if method == "ANY" => return Some(MethodSet::Any),
        Methods::One(method) => vec![At { value: method.clone(), span: methods.span.clone() }],
        Methods::Several(list) => list.clone(),
    };
    if list.is_empty() {
        checked.push(checked.at(methods, "an API has at least one method").note(allowed_methods()));
        return None;
    }
    let mut known: Vec<String> = Vec::new();
    let mut good = true;
    for method in list {
        if !METHODS.contains(&method.as_str()) {
            checked.push(unknown_method(checked, &method));
            good = false;
        } else if known.contains(&method.value) {
            checked.push(checked.at(&method, format!("the method `{}` is listed twice", method.value)));
            good = false;
        } else {
            known.push(method.value);
        }
    }
    good.then_some(MethodSet::These(known))
}

fn allowed_methods() -> String {
    format!("allowed: {}; or `\"ANY\"` alone", METHODS.map(|method| format!("`{method}`")).join(", "))
}

fn unknown_method(checked: &Checked<'_>, method: &At<String>) -> Diagnostic {
    let near = nearest(method, METHODS.into_iter().chain(["ANY"]));
    checked.at(method, format!("`{}` is not a method of an API", method.value)).note(allowed_methods()).did_you_mean(near)
}

fn template(path: &At<String>, checked: &mut Checked<'_>) -> Option<PathTemplate> {
    match PathTemplate::parse(path) {
        Ok(template) => Some(template),
        Err(problem) => {
            checked.push(checked.at(path, format!("`{}` is not a path template", path.value)).note(problem));
            None
        }
    }
}

fn backend(
    table: &BackendTable,
    request_path: &At<String>,
    request: Option<&PathTemplate>,
    within: &Within<'_>,
    checked: &mut Checked<'_>,
) -> Option<Backend> {
    let target = target(table, request_path, request, within, checked);
    let method = match &table.method {
        None => Some(None),
        Some(method) if method.value == "ANY" => Some(None),
        Some(method) if METHODS.contains(&method.as_str()) => Some(Some(method.value.clone())),
        Some(method) => {
            checked.push(unknown_method(checked, method));
            None
        }
    };
    let timeout_ms = match &table.timeout_ms {
        Some(timeout) => checked.number("timeout_ms", timeout, TIMEOUT_MS),
        None => Some(DEFAULT_TIMEOUT_MS),
    };
    let (vpc_access, path) = target?;
    Some(Backend::Vpc { vpc_access, path, method: method?, timeout: Duration::from_millis(timeout_ms?) })
}

/// Where calls go: the parts of a backend that may have variables.
fn target(
    table: &BackendTable,
    request_path: &At<String>,
    request: Option<&PathTemplate>,
    within: &Within<'_>,
    checked: &mut Checked<'_>,
) -> Option<(VpcAccessId, PathTemplate)> {
    let access = within.variables.fill(&table.vpc_access, checked);
    let vpc_access = access.and_then(|name| vpc_access(&name, within, checked));
    let path = within.variables.fill(&table.path, checked).and_then(|path| {
        let (written, template) = (&path.text, PathTemplate::parse(&path.text));
        let error = match (&template, request) {
            (Err(problem), _) => checked.at(written, format!("`{}` is not a path template", written.value)).note(problem),
            (Ok(template), Some(request)) => {
                let Some(missing) = missing_parameter(template, request) else { return Some(template.clone()) };
                let message = format!("the backend path uses `{missing}`, which the request path does not have");
                checked.at(written, message).related(checked.place(request_path), "the request path")
            }
            // The request path has an error of its own.
            (Ok(template), None) => return Some(template.clone()),
        };
        checked.push(path.explain(error));
        None
    });
    Some((vpc_access?, path?))
}

fn vpc_access(name: &Filled, within: &Within<'_>, checked: &mut Checked<'_>) -> Option<VpcAccessId> {
    within.vpc_accesses.find(&name.text).unwrap_or_else(|| {
        let mut diagnostic = within.vpc_accesses.unknown(checked.place(&name.text), &name.text);
        if let Some(place) = within.manifest {
            diagnostic = diagnostic.related(place.clone(), "this version is current by this entry");
        }
        checked.push(name.explain(diagnostic));
        None
    })
}

/// What the backend's template takes from the request and the request's template does not give.
fn missing_parameter(backend: &PathTemplate, request: &PathTemplate) -> Option<String> {
    if backend.has_rest() && !request.has_rest() {
        return Some("*".to_owned());
    }
    let given = |name: &str| request.segments.iter().any(|segment| matches!(segment, Segment::Parameter(given) if given == name));
    backend.parameters().find(|name| !given(name)).map(|name| format!("[{name}]"))
}
