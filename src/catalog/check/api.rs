//! API definitions, drafted or published -> what an API is, apart from its stage and version.

use std::time::Duration;

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
    pub backend: Backend,
}

/// `None` stands for errors in the report. `manifest`: the entry that makes a published definition current.
pub fn definition(
    document: &Api,
    by_path: &str,
    vpc_accesses: &Names<VpcAccessId>,
    manifest: Option<&Place>,
    checked: &mut Checked<'_>,
) -> Option<Definition> {
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
    let backend = backend(&document.backend, &request.path, path.as_ref(), vpc_accesses, manifest, checked);
    name?;
    let (authentication, protocols, methods) = (authentication?, protocols?, methods?);
    Some(Definition { authentication, protocols, methods, path: path?, body_bytes: body_bytes?, backend: backend? })
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
    vpc_accesses: &Names<VpcAccessId>,
    manifest: Option<&Place>,
    checked: &mut Checked<'_>,
) -> Option<Backend> {
    let vpc_access = match vpc_accesses.find(&table.vpc_access) {
        Some(id) => id,
        None => {
            let mut diagnostic = vpc_accesses.unknown(checked.place(&table.vpc_access), &table.vpc_access);
            if let Some(place) = manifest {
                diagnostic = diagnostic.related(place.clone(), "this version is current by this entry");
            }
            checked.push(diagnostic);
            None
        }
    };
    let mut path = template(&table.path, checked);
    if let (Some(template), Some(request)) = (&path, request)
        && let Some(missing) = missing_parameter(template, request)
    {
        let diagnostic =
            checked.at(&table.path, format!("the backend path uses `{missing}`, which the request path does not have"));
        checked.push(diagnostic.related(checked.place(request_path), "the request path"));
        path = None;
    }
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
    Some(Backend::Vpc { vpc_access: vpc_access?, path: path?, method: method?, timeout: Duration::from_millis(timeout_ms?) })
}

/// What the backend's template takes from the request and the request's template does not give.
fn missing_parameter(backend: &PathTemplate, request: &PathTemplate) -> Option<String> {
    if backend.has_rest() && !request.has_rest() {
        return Some("*".to_owned());
    }
    let given = |name: &str| request.segments.iter().any(|segment| matches!(segment, Segment::Parameter(given) if given == name));
    backend.parameters().find(|name| !given(name)).map(|name| format!("[{name}]"))
}
