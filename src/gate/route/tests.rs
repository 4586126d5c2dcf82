//! The router: domains, base paths, stages and methods by example; templates against a slow oracle.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::catalog::{PathTemplate, Segment};
use crate::gate::sample::{Request, Sample, template};

fn route(router: &Router, request: &Request) -> Result<ApiId, ErrorCode> {
    router.route(&request.call()).map(|route| route.api).map_err(|refusal| refusal.code)
}

fn get(host: &str, target: &str) -> Request {
    Request::new("GET", target).field("Host", host)
}

#[test]
fn domains_go_exact_then_longest_wildcard_then_default_then_address_then_any() {
    let mut sample = Sample::default();
    let mut api = |name: &str, domains: &[&str]| {
        let group = sample.group(name, "", domains);
        sample.api(group, "a", 0, "GET", "/a")
    };
    let exact = api("exact", &["api.example.com", "a.b.c.example.net"]);
    let wildcard = api("wildcard", &["*.example.net"]);
    let longer = api("longer", &["*.b.c.example.net"]);
    let address = api("address", &["127.0.0.1", "::1"]);
    let router = Router::build(&sample.catalog);
    let cases = [
        ("api.example.com", Ok(exact)),
        ("API.Example.COM:8080", Ok(exact)),
        ("api.example.com.", Ok(exact)),
        ("a.b.c.example.net", Ok(exact)),
        ("x.example.net", Ok(wildcard)),
        ("x.y.example.net:80", Ok(wildcard)),
        ("b.c.example.net", Ok(wildcard)),
        ("x.b.c.example.net", Ok(longer)),
        ("X.Y.b.c.example.net", Ok(longer)),
        ("example.net", Err(ErrorCode::I404DO)),
        (".example.net", Err(ErrorCode::I404DO)),
        ("xexample.net", Err(ErrorCode::I404DO)),
        ("wildcard.localhost", Ok(wildcard)),
        ("127.0.0.1:8080", Ok(address)),
        ("[::1]:8080", Ok(address)),
        ("[0:0::1]", Ok(address)),
        ("127.0.0.2", Err(ErrorCode::I404DO)),
    ];
    for (host, expected) in cases {
        assert_eq!(route(&router, &get(host, "/a")), expected, "{host}");
    }
    let long = "x".repeat(300);
    assert_eq!(route(&router, &get(&long, "/a")), Err(ErrorCode::I404DO));
    let without_host = Request::new("GET", "/a").http10();
    assert_eq!(route(&router, &without_host), Err(ErrorCode::I404DO));

    let group = sample.group("any", "", &["*"]);
    let any = sample.api(group, "a", 0, "GET", "/a");
    let router = Router::build(&sample.catalog);
    for host in ["example.net", "127.0.0.2", &long] {
        assert_eq!(route(&router, &get(host, "/a")), Ok(any), "{host}");
    }
    assert_eq!(route(&router, &get("api.example.com", "/a")), Ok(exact));
    assert_eq!(route(&router, &without_host), Ok(any));
}

#[test]
fn only_the_default_domain_is_the_default_domain() {
    let mut sample = Sample::default();
    let group = sample.group("g", "", &["api.example.com"]);
    sample.api(group, "a", 0, "GET", "/a");
    let router = Router::build(&sample.catalog);
    let default = |host: &str| router.route(&get(host, "/a").call()).expect("routes").default_domain;
    assert!(default("g.localhost"));
    assert!(!default("api.example.com"));
}

#[test]
fn the_authority_of_an_absolute_target_stands_above_host() {
    let mut sample = Sample::default();
    let group = sample.group("g", "", &["api.example.com"]);
    let api = sample.api(group, "a", 0, "GET", "/a");
    let router = Router::build(&sample.catalog);
    let request = get("other.example.com", "/a");
    let mut call = request.call();
    call.target.authority = Some(b"api.example.com:80");
    assert_eq!(router.route(&call).map(|route| route.api), Ok(api));
    assert_eq!(route(&router, &request), Err(ErrorCode::I404DO));
}

#[test]
fn an_unknown_domain_is_named_in_the_refusal() {
    let router = Router::build(&Sample::default().catalog);
    let refusal = router.route(&get("no.example", "/a").call()).expect_err("no such domain");
    assert_eq!(refusal, Refusal::with(ErrorCode::I404DO, b"no.example"));
}

#[test]
fn the_longest_base_path_decides_on_segment_boundaries() {
    let mut sample = Sample::default();
    let mut api = |name: &str, base: &str, path: &str| {
        let group = sample.group(name, base, &["x.example"]);
        sample.api(group, "a", 0, "GET", path)
    };
    let root = api("root", "", "/[a]/[b]");
    let v2 = api("v2", "/api/v2", "/users");
    let short = api("short", "/api", "/[x]");
    let slash = api("slash", "/slash", "/");
    let rest = api("rest", "/rest", "/*");
    let router = Router::build(&sample.catalog);
    let cases = [
        ("/api/v2/users", Ok(v2)),
        ("/%61pi/v%32/users", Ok(v2)),
        ("/api/v2", Err(ErrorCode::I404NF)),
        ("/api/v2/other", Err(ErrorCode::I404NF)),
        ("/api/v20", Ok(short)),
        ("/apiv2/users", Ok(root)),
        ("/api%2Fv2/users", Ok(root)),
        ("/slash", Ok(slash)),
        ("/slash/", Ok(slash)),
        ("/slash//", Err(ErrorCode::I404NF)),
        ("/rest/", Ok(rest)),
        ("/rest", Err(ErrorCode::I404NF)),
        ("*", Err(ErrorCode::I404NF)),
    ];
    for (path, expected) in cases {
        assert_eq!(route(&router, &get("x.example", path)), expected, "{path}");
    }
    sample.catalog.groups.remove(0);
    sample.catalog.apis.clear();
    let router = Router::build(&sample.catalog);
    assert_eq!(route(&router, &get("x.example", "/no/base")), Err(ErrorCode::I404NF));
}

#[test]
fn groups_with_the_same_paths_are_kept_apart() {
    let mut sample = Sample::default();
    let apis: Vec<_> = (0..20)
        .map(|n| {
            let domain = format!("{n}.example");
            let group = sample.group(&format!("g{n}"), "/v1", &[domain.as_str()]);
            (domain, sample.api(group, "a", 0, "GET", "/[p]/a"), sample.api(group, "b", 1, "GET", "/[p]/a"))
        })
        .collect();
    let router = Router::build(&sample.catalog);
    for (domain, release, pre) in apis {
        assert_eq!(route(&router, &get(&domain, "/v1/x/a")), Ok(release));
        assert_eq!(route(&router, &get(&domain, "/v1/x/a").field("X-Ca-Stage", "pre")), Ok(pre));
        assert_eq!(route(&router, &get(&domain, "/x/a")), Err(ErrorCode::I404NF));
    }
}

#[test]
fn stages_are_those_of_the_group_and_a_domain_may_be_bound_to_one() {
    let mut sample = Sample::default();
    sample.catalog.stages.extend(["Blue", "GREEN"].map(String::from));
    let (blue, green) = (StageId(3), StageId(4));
    let one = sample.group("one", "", &["bound.example", "free.example"]);
    let other = sample.group("other", "/deep", &["bound.example", "*"]);
    sample.catalog.groups[one.index()].stages = vec![green];
    sample.catalog.groups[one.index()].bound = vec![(crate::catalog::Domain::Exact("bound.example".into()), green)];
    sample.catalog.groups[other.index()].stages = vec![blue, green];
    let mut api = |group, stage| sample.api(group, "a", stage, "GET", "/a");
    let (release, in_green) = (api(one, 0), api(one, 4));
    let (deep_blue, deep_green) = (api(other, 3), api(other, 4));
    let router = Router::build(&sample.catalog);
    let at = |host: &str, path: &str, stage: &str| route(&router, &get(host, path).field("X-Ca-Stage", stage));
    for stage in ["", "RELEASE", "green", "Blue", "none"] {
        assert_eq!(at("bound.example", "/a", stage), Ok(in_green), "{stage}");
    }
    assert_eq!(at("free.example", "/a", ""), Ok(release));
    assert_eq!(at("free.example", "/a", "Green"), Ok(in_green));
    assert_eq!(at("free.example", "/a", "Blue"), Err(ErrorCode::I400SG), "a stage of another group");
    assert_eq!(at("one.localhost", "/a", ""), Ok(release), "the default domain is bound to nothing");
    assert_eq!(at("bound.example", "/deep/a", "BLUE"), Ok(deep_blue), "bound for the other group alone");
    assert_eq!(at("any.example", "/deep/a", "green"), Ok(deep_green));
    assert_eq!(at("any.example", "/deep/a", ""), Err(ErrorCode::I404NF));
}

#[test]
fn a_stage_is_chosen_by_its_field() {
    let mut sample = Sample::default();
    let group = sample.group("g", "", &["x.example"]);
    let release = sample.api(group, "a", 0, "GET", "/a");
    let test = sample.api(group, "a", 2, "GET", "/a");
    let router = Router::build(&sample.catalog);
    let staged = |stage: &str| route(&router, &get("x.example", "/a").field("X-Ca-Stage", stage));
    assert_eq!(route(&router, &get("x.example", "/a")), Ok(release));
    assert_eq!(staged(""), Ok(release));
    assert_eq!(staged("release"), Ok(release));
    assert_eq!(staged("Test"), Ok(test));
    assert_eq!(staged("PRE"), Err(ErrorCode::I404NF), "nothing is published there");
    assert_eq!(staged("NONE"), Err(ErrorCode::I400SG));
}

#[test]
fn a_method_picks_among_the_apis_of_a_path() {
    let mut sample = Sample::default();
    let group = sample.group("g", "", &["x.example"]);
    let me = sample.api(group, "me", 0, "POST", "/user/me");
    let id = sample.api(group, "id", 0, "GET,PUT", "/user/[id]");
    let any = sample.api(group, "any", 0, "ANY", "/any");
    let purge = sample.api(group, "purge", 0, "PURGE", "/any");
    let router = Router::build(&sample.catalog);
    let ask = |method: &str, path: &str| route(&router, &Request::new(method, path).field("Host", "x.example"));
    assert_eq!(ask("POST", "/user/me"), Ok(me));
    assert_eq!(ask("GET", "/user/me"), Ok(id), "a template that takes the method, behind one that does not");
    assert_eq!(ask("PUT", "/user/7"), Ok(id));
    assert_eq!(ask("HEAD", "/user/7"), Err(ErrorCode::I405UM), "HEAD is declared or refused");
    assert_eq!(ask("get", "/user/7"), Err(ErrorCode::I405UM));
    assert_eq!(ask("NEVERHEARD", "/user/7"), Err(ErrorCode::I405UM));
    assert_eq!(ask("NEVERHEARD", "/any"), Ok(any));
    assert_eq!(ask("PURGE", "/any"), Ok(purge));
    assert_eq!(ask("GET", "/nothing"), Err(ErrorCode::I404NF));
}

#[test]
fn templates_match_as_the_product_documents() {
    let mut sample = Sample::default();
    let group = sample.group("g", "", &["x.example"]);
    let to = sample.api(group, "to", 0, "GET", "/request/to/[path]");
    let two = sample.api(group, "two", 0, "GET", "/[path1]/[path2]");
    let rest = sample.api(group, "rest", 0, "GET", "/[root]/*");
    let router = Router::build(&sample.catalog);
    let ask = |path: &str| route(&router, &get("x.example", path));
    assert_eq!(ask("/request/to/user1"), Ok(to));
    assert_eq!(ask("/group1/user1"), Ok(two));
    assert_eq!(ask("/group1/user1/more"), Ok(rest));
    assert_eq!(ask("/group1/"), Ok(rest));
    assert_eq!(ask("/group1"), Err(ErrorCode::I404NF));
    assert_eq!(ask("/"), Err(ErrorCode::I404NF));
}

#[test]
fn the_most_parameters_a_template_may_have_are_all_found() {
    let mut sample = Sample::default();
    let group = sample.group("g", "/base", &["x.example"]);
    let path: String = (0..MAX_PARAMETERS).map(|n| format!("/[p{n}]")).collect();
    sample.api(group, "a", 0, "GET", &path);
    let router = Router::build(&sample.catalog);
    let asked: String = (0..MAX_PARAMETERS).map(|n| format!("/value-{n}")).collect();
    let request = get("x.example", &format!("/base{asked}"));
    let found = router.route(&request.call()).expect("routes").path;
    for (n, span) in found.parameters.iter().enumerate() {
        assert_eq!(span.of(request.call().target.path), format!("value-{n}").as_bytes());
    }
}

#[test]
fn a_group_is_compiled_anew_when_its_apis_are_others_and_not_when_they_stand_elsewhere() {
    let mut sample = Sample::default();
    let hosts = ["one.example", "two.example", "three.example"];
    let groups = hosts.map(|host| sample.group(host, "/v1", &[host]));
    for (group, path) in groups.into_iter().flat_map(|group| [(group, "/a"), (group, "/b/[id]")]) {
        sample.api(group, "api", 0, "GET", path);
    }
    sample.api(groups[2], "api", 1, "GET", "/pre");
    let (before, built) = Router::after(None, &sample.catalog);
    assert_eq!(built, Built { all: 4, anew: 4 });
    assert_eq!(Router::after(Some(&before.clone()), &sample.catalog).1, Built { all: 4, anew: 0 }, "a worker's own is a copy");

    // A group has one more: all that come after it stand elsewhere.
    let more = sample.api(groups[0], "more", 0, "POST", "/more");
    let more = sample.catalog.apis.remove(more.index());
    sample.catalog.apis.insert(2, more);
    let (after, built) = Router::after(Some(&before), &sample.catalog);
    assert_eq!(built, Built { all: 4, anew: 1 });
    let ask = |router: &Router, method: &str, host: &str, path: &str| {
        let route = route(router, &Request::new(method, path).field("Host", host));
        route.map(|api| api.0)
    };
    assert_eq!(ask(&after, "POST", hosts[0], "/v1/more"), Ok(2));
    for (group, host) in (0..).zip(hosts) {
        let moved = u32::from(group > 0);
        assert_eq!(ask(&before, "GET", host, "/v1/b/7"), Ok(group * 2 + 1), "{host}");
        assert_eq!(ask(&after, "GET", host, "/v1/a"), Ok(group * 2 + moved), "{host}");
        assert_eq!(ask(&after, "GET", host, "/v1/b/7"), Ok(group * 2 + 1 + moved), "{host}");
    }

    // An API that is another one, at the same place.
    sample.api_mut(ApiId(4)).path = template("/c");
    let (changed, built) = Router::after(Some(&after), &sample.catalog);
    assert_eq!(built, Built { all: 4, anew: 1 });
    assert_eq!(ask(&changed, "GET", hosts[1], "/v1/c"), Ok(4));
    assert_eq!(ask(&changed, "GET", hosts[1], "/v1/b/7"), Err(ErrorCode::I404NF));
    assert_eq!(ask(&after, "GET", hosts[1], "/v1/b/7"), Ok(4), "the one before is as it was");
}

#[test]
fn a_text_longer_than_its_place_in_a_node_is_found() {
    let mut sample = Sample::default();
    let group = sample.group("g", "", &["x.example"]);
    let texts: Vec<String> = (1..60).map(|len| "x".repeat(len)).collect();
    let apis: Vec<_> = texts.iter().map(|text| sample.api(group, "a", 0, "GET", &format!("/{text}/y"))).collect();
    let router = Router::build(&sample.catalog);
    for (text, api) in texts.iter().zip(apis) {
        assert_eq!(route(&router, &get("x.example", &format!("/{text}/y"))), Ok(api));
        assert_eq!(route(&router, &get("x.example", &format!("/{}z/y", &text[1..]))), Err(ErrorCode::I404NF));
    }
}

#[test]
fn methods_without_a_bit_of_their_own_are_told_apart() {
    let mut sample = Sample::default();
    let group = sample.group("g", "", &["x.example"]);
    let purge = sample.api(group, "purge", 0, "PURGE,LINK,GET", "/a");
    let unlink = sample.api(group, "unlink", 0, "UNLINK", "/a");
    let alone = sample.api(group, "alone", 0, "PURGE", "/b");
    let router = Router::build(&sample.catalog);
    let ask = |method: &str, path: &str| route(&router, &Request::new(method, path).field("Host", "x.example"));
    for (method, path, expected) in [
        ("PURGE", "/a", Ok(purge)),
        ("LINK", "/a", Ok(purge)),
        ("GET", "/a", Ok(purge)),
        ("UNLINK", "/a", Ok(unlink)),
        ("POST", "/a", Err(ErrorCode::I405UM)),
        ("MOVE", "/a", Err(ErrorCode::I405UM)),
        ("PURGE", "/b", Ok(alone)),
        ("GET", "/b", Err(ErrorCode::I405UM)),
    ] {
        assert_eq!(ask(method, path), expected, "{method} {path}");
    }
}

#[test]
fn many_siblings_are_each_found() {
    let mut sample = Sample::default();
    let group = sample.group("g", "", &["x.example"]);
    let apis: Vec<_> = (0..5_000).map(|n| (n, sample.api(group, "a", 0, "GET", &format!("/{n}/x")))).collect();
    let router = Router::build(&sample.catalog);
    for (n, api) in apis {
        assert_eq!(route(&router, &get("x.example", &format!("/{n}/x"))), Ok(api));
        assert_eq!(route(&router, &get("x.example", &format!("/{n}/y"))), Err(ErrorCode::I404NF));
    }
    assert_eq!(route(&router, &get("x.example", "/5000/x")), Err(ErrorCode::I404NF));
}

/// What the router should find, by trying everything: the API and the raw values of its parameters and rest.
fn oracle<'p>(
    apis: &[(PathTemplate, &str, ApiId)],
    method: &str,
    path: &'p str,
) -> Result<(ApiId, Vec<&'p str>, Option<&'p str>), ErrorCode> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let matching: Vec<_> = apis
        .iter()
        .filter_map(|(template, methods, api)| {
            let bound = if path == "/" && template.segments.is_empty() {
                Some((Vec::new(), None))
            } else {
                bind(&template.segments, &segments)
            };
            bound.map(|(values, rest)| {
                (template, *methods, *api, values, rest.map(|at| path.splitn(at + 2, '/').last().unwrap_or("")))
            })
        })
        .collect();
    if matching.is_empty() {
        return Err(ErrorCode::I404NF);
    }
    let rank = |template: &PathTemplate| -> Vec<u8> {
        let kind = |segment: &Segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Parameter(_) => 1,
            Segment::Rest => 2,
        };
        template.segments.iter().map(kind).collect()
    };
    matching
        .into_iter()
        .filter(|(_, methods, ..)| *methods == "ANY" || *methods == method)
        .min_by_key(|(template, methods, ..)| (rank(template), *methods == "ANY"))
        .map(|(_, _, api, values, rest)| (api, values, rest))
        .ok_or(ErrorCode::I405UM)
}

/// The values of a template's parameters, and from which segment on the rest is.
fn bind<'p>(template: &[Segment], segments: &[&'p str]) -> Option<(Vec<&'p str>, Option<usize>)> {
    let mut values = Vec::new();
    for (at, segment) in template.iter().enumerate() {
        let raw = *segments.get(at)?;
        let text: Vec<u8> = decoded(raw.as_bytes()).collect();
        match segment {
            Segment::Rest => return Some((values, Some(at))),
            Segment::Literal(literal) if literal.as_bytes() == text => {}
            Segment::Literal(_) => return None,
            Segment::Parameter(_) if matches!(&text[..], b"" | b"." | b"..") => return None,
            Segment::Parameter(_) => values.push(raw),
        }
    }
    (template.len() == segments.len()).then_some((values, None))
}

/// The template with the names of its parameters left out: two of the same shape cannot both be published.
fn shape(path: &str) -> String {
    path.split('/').map(|text| if text.starts_with('[') { "[]" } else { text }).collect::<Vec<_>>().join("/")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn the_router_finds_what_a_search_of_all_templates_finds(
        declared in proptest::collection::vec(
            (proptest::collection::vec(prop_oneof!["[abé]", "\\[[pq]\\]"], 0..4), any::<bool>(), prop_oneof!["GET", "POST", "ANY"]), 1..12),
        asked in proptest::collection::vec(
            prop_oneof!["[abc]", "%61", "%6", "%C3%A9", "é", "a%2Fb", "%2e|\\.\\.|\\.", ""], 0..5),
        method in prop_oneof!["GET", "POST", "HEAD"],
        base in prop_oneof!["", "/a", "/a/b"],
    ) {
        let mut sample = Sample::default();
        let group = sample.group("g", &base, &["x.example"]);
        let mut known = HashSet::new();
        let mut apis = Vec::new();
        for (segments, rest, methods) in &declared {
            let mut path = format!("/{}", segments.join("/"));
            if *rest {
                path = format!("{}/*", path.trim_end_matches('/'));
            }
            if known.insert((shape(&path), methods.clone())) {
                apis.push((template(&path), methods.as_str(), sample.api(group, "a", 0, methods, &path)));
            }
        }
        let router = Router::build(&sample.catalog);
        let path = format!("/{}", asked.join("/"));
        let request = Request::new(&method, &format!("{base}{path}")).field("Host", "x.example");
        let call = request.call();
        let text = |span: Span| std::str::from_utf8(span.of(call.target.path)).expect("cut between segments");
        let found = router.route(&call).map_err(|refusal| refusal.code).map(|route| {
            let values = route.path.parameters.iter().filter(|span| !span.is_empty()).map(|span| text(*span)).collect::<Vec<_>>();
            (route.api, values, route.path.rest.map(text))
        });
        prop_assert_eq!(found, oracle(&apis, &method, &path));
    }
}
