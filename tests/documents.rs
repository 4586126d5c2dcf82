//! Every error of the checker, with its file, line and column; and that nothing in a file can bring it down.

mod sample;

use std::fs;

use lockgate::catalog;
use proptest::prelude::*;
use sample::Sample;

/// What is changed in which file of the sample, and the error with its place that this must give.
struct Case {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    error: &'static str,
    place: &'static str,
}

const fn case(file: &'static str, from: &'static str, to: &'static str, error: &'static str, place: &'static str) -> Case {
    Case { file, from, to, error, place }
}

const GATEWAY: &str = "gateway.toml";
const VPC: &str = "vpc-access/nginx-microservice.toml";
const GROUP: &str = "groups/nginx-demo/group.toml";
const API: &str = "groups/nginx-demo/apis/nginx-test.toml";
const APP: &str = "apps/demo-app.toml";
const MANIFEST: &str = "published/manifest.toml";

const CASES: &[Case] = &[
    // Text and shape.
    case(GATEWAY, "[instance]", "[instance", "unclosed table, expected `]`", "3:10"),
    case(GATEWAY, "workers = 2 ", "worker = 2 ", "unknown key `worker`", "5:1"),
    case(GATEWAY, "name = \"edge-1\"", "", "the key `name` is missing", "3:1"),
    case(GATEWAY, "\"edge-1\"", "5", "invalid type: integer `5`, expected a string", "4:8"),
    case(GATEWAY, "= 900", "= \"x\"", "invalid type: string \"x\", expected an integer", "15:22"),
    case(GATEWAY, "\"http\"", "\"htp\"", "`htp` is not a value of this key", "12:12"),
    // gateway.toml
    case(GATEWAY, "\"edge-1\"", "\" \"", "`name` is empty", "4:8"),
    case(GATEWAY, "workers = 2", "workers = 0", "workers = 0 is out of range", "5:11"),
    case(GATEWAY, "addresses = []", "addresses = [\"10.0.0\"]", "`10.0.0` is not an IP address", "6:21"),
    case(GATEWAY, "addresses = []", "addresses = [\"::1\", \"::1\"]", "this address is listed twice", "6:28"),
    case(GATEWAY, "\"state\"", "\"\"", "`state_directory` is empty", "7:19"),
    case(GATEWAY, "\"localhost\"", "\"a b\"", "`a b` is not a domain", "8:25"),
    case(GATEWAY, "workers = 2", "driver = \"uring\"", "`uring` is not a value of this key", "5:10"),
    case(GATEWAY, ":8080", "", "`127.0.0.1` is not an address with a port", "11:11"),
    case(GATEWAY, ":8080", ":0", "a listener has a port of its own", "11:11"),
    case(
        GATEWAY,
        "[security]",
        "[[listener]]\naddress = \"127.0.0.1:8080\"\n[security]",
        "two listeners have this address",
        "15:11",
    ),
    case(
        GATEWAY,
        "[[listener]]\naddress = \"127.0.0.1:8080\"\nprotocol = \"http\"",
        "[limits]",
        "the key `listener` is missing",
        "1:1",
    ),
    case(GATEWAY, "= 900", "= 0", "signature_window_s = 0 is out of range", "15:22"),
    case(GATEWAY, "= 900", "= 900\nnonce_capacity = 1", "nonce_capacity = 1 is out of range", "16:18"),
    case(GATEWAY, "= 900", "= 900\nnonce_full = \"drop\"", "`drop` is not a value of this key", "16:14"),
    case(GATEWAY, "= 900", "= 900\ntolerate = [\"raw\"]", "`raw` is not a value of this key", "16:13"),
    case(GATEWAY, "= 900", "= 900\ntolerate = [\"raw-path\", \"raw-path\"]", "this tolerance is listed twice", "16:25"),
    case(
        GATEWAY,
        "= 900",
        "= 900\ntrusted_proxies = [\"10.0.0.0/33\"]",
        "`10.0.0.0/33` is neither an address nor a network",
        "16:20",
    ),
    case(GATEWAY, "[access_log]", "[limits]\nhead_timeout_ms = 1\n[access_log]", "head_timeout_ms = 1 is out of range", "18:19"),
    case(GATEWAY, "[access_log]", "[limits]\nhead_timeout = 1\n[access_log]", "unknown key `head_timeout`", "18:1"),
    case(
        GATEWAY,
        "[access_log]",
        "[limits]\nhead_bytes = 2048\n[access_log]",
        "a start line cannot be longer than its head",
        "18:14",
    ),
    case(
        GATEWAY,
        "[access_log]",
        "[limits]\nstand_aside_ms = 70000\nstand_aside_max_ms = 60000\n[access_log]",
        "an instance cannot stand aside for longer than the longest time",
        "19:22",
    ),
    case(GATEWAY, "[access_log]", "[limits]\nretry_percent = 101\n[access_log]", "retry_percent = 101 is out of range", "18:17"),
    case(
        GATEWAY,
        "[access_log]",
        "[limits]\npool_connections = 0\n[access_log]",
        "pool_connections = 0 is out of range",
        "18:20",
    ),
    case(GATEWAY, "path = \"stdout\"", "path = \"\"", "`path` is empty", "18:8"),
    case(GATEWAY, "[access_log]", "[publish]\nversions_kept = 1\n\n[access_log]", "versions_kept = 1 is out of range", "18:17"),
    case(GATEWAY, "[access_log]", "[publish]\ngenerations_kept = 0\n\n[access_log]", "generations_kept = 0 is out of", "18:20"),
    case(
        GATEWAY,
        "[access_log]",
        "[admin]\naddress = \"ten\"\n[access_log]",
        "`ten` is not where the operator's listener can be",
        "18:11",
    ),
    case(
        GATEWAY,
        "[access_log]",
        "[admin]\naddress = \":9090\"\n[access_log]",
        "`:9090` is not where the operator's listener can be",
        "18:11",
    ),
    case(
        GATEWAY,
        "[access_log]",
        "[admin]\naddress = \"0\"\n[access_log]",
        "`0` is not where the operator's listener can be",
        "18:11",
    ),
    case(
        GATEWAY,
        "[access_log]",
        "[admin]\naddress = \"0.0.0.0:8080\"\n[access_log]",
        "a `[[listener]]` has this address",
        "18:11",
    ),
    case(GATEWAY, "[access_log]", "[admin]\n[access_log]", "the key `address` is missing", "17:1"),
    case(GATEWAY, "[access_log]", "[log]\nformat = \"xml\"\n[access_log]", "`xml` is not a value of this key", "18:10"),
    // vpc-access/
    case(VPC, "\"nginx-microservice\"", "\"nginx\"", "the name of a VPC access differs from the one in its path", "1:8"),
    case(VPC, "\"nginx-microservice\"", "\"-\"", "`-` is not a name of a VPC access", "1:8"),
    case(VPC, "\"vpc-demo\"", "\"\"", "`vpc_id` is empty", "2:10"),
    case(VPC, "port = 80\n", "port = 70000\n", "port = 70000 is out of range", "3:8"),
    case(VPC, "\"nginx.internal\"", "\"a:b:c\"", "`a:b:c` is not a Host", "4:8"),
    case(VPC, "network = \"vpc\"", "network = \"internet\"", "network = \"internet\" is not allowed", "5:11"),
    case(VPC, "network = \"vpc\"", "scheme = \"h2\"", "`h2` is not a value of this key", "5:10"),
    case(VPC, "network = \"vpc\"", "when_all_down = \"wait\"", "`wait` is not a value of this key", "5:17"),
    case(VPC, "network = \"vpc\"", "slow_start_ms = -1", "slow_start_ms = -1 is out of range", "5:17"),
    case(VPC, "[[instance]]", "[health]\ninterval_ms = 500\n[[instance]]", "the key `path` is missing", "7:1"),
    case(VPC, "[[instance]]", "[health]\npath = \"healthz\"\n[[instance]]", "`healthz` is not the path of a check", "8:8"),
    case(VPC, "[[instance]]", "[health]\npath = \"/a b\"\n[[instance]]", "`/a b` is not the path of a check", "8:8"),
    case(
        VPC,
        "[[instance]]",
        "[health]\npath = \"/h\"\ninterval_ms = 1\n[[instance]]",
        "interval_ms = 1 is out of range",
        "9:15",
    ),
    case(VPC, "[[instance]]", "[health]\npath = \"/h\"\ninterval = 500\n[[instance]]", "unknown key `interval`", "9:1"),
    case(VPC, "[[instance]]", "[health]\npath = \"/h\"\ntimeout_ms = 1\n[[instance]]", "timeout_ms = 1 is out of range", "9:14"),
    case(
        VPC,
        "[[instance]]",
        "[health]\npath = \"/h\"\ntimeout_ms = 6000\n[[instance]]",
        "a check cannot take longer than its interval",
        "9:14",
    ),
    case(
        VPC,
        "[[instance]]",
        "[health]\npath = \"/h\"\nhealthy_threshold = 0\n[[instance]]",
        "healthy_threshold = 0 is out of range",
        "9:21",
    ),
    case(
        VPC,
        "[[instance]]",
        "[health]\npath = \"/h\"\nunhealthy_threshold = 101\n[[instance]]",
        "unhealthy_threshold = 101 is out of range",
        "9:23",
    ),
    case(
        VPC,
        "[[instance]]",
        "[health]\npath = \"/h\"\nexpected_status = []\n[[instance]]",
        "no answer would be good: a check expects at least one status",
        "9:19",
    ),
    case(
        VPC,
        "[[instance]]",
        "[health]\npath = \"/h\"\nexpected_status = [200, 99]\n[[instance]]",
        "expected_status = 99 is out of range",
        "9:25",
    ),
    case(
        VPC,
        "[[instance]]",
        "[health]\npath = \"/h\"\nexpected_status = \"1xx\"\n[[instance]]",
        "`1xx` does not name statuses",
        "9:19",
    ),
    case(
        VPC,
        "[[instance]]",
        "[health]\npath = \"/h\"\nexpected_status = 200\n[[instance]]",
        "invalid type: integer `200`, expected a list of statuses, or one such as `2xx`",
        "9:19",
    ),
    case(
        VPC,
        "[[instance]]",
        "[health]\npath = \"/h\"\nmethod = \"POST\"\n[[instance]]",
        "`POST` is not a value of this key",
        "9:10",
    ),
    case(VPC, "[[instance]]", "[health]\npath = \"/h\"\nhost = \"a:b:c\"\n[[instance]]", "`a:b:c` is not a Host", "9:8"),
    case(VPC, "\"127.0.0.1\"", "\"nginx.internal\"", "`nginx.internal` is not an IP address", "9:11"),
    case(VPC, "\"127.0.0.1\"", "\"0.0.0.0\"", "`0.0.0.0` is not the address of one instance", "9:11"),
    case(VPC, "port = 8081", "port = 0", "port = 0 is out of range", "10:8"),
    case(VPC, "weight = 100", "weight = 0", "weight = 0 is out of range", "11:10"),
    case(
        VPC,
        "weight = 100",
        "[[instance]]\naddress = \"127.0.0.1\"\nport = 8081",
        "two instances have the address 127.0.0.1:8081",
        "12:11",
    ),
    case(VPC, "weight = 100", "[[instance]]\nid = \"i-nginx-1\"\naddress = \"127.0.0.2\"", "two instances have this id", "12:6"),
    case(VPC, "id = \"i-nginx-1\"", "id = \"\"", "`id` is empty", "8:6"),
    // groups/
    case(GROUP, "\"nginx-demo\"", "\"nginx\"", "the name of a group differs from the one in its path", "1:8"),
    case(GROUP, "\"/\"", "\"v1\"", "`v1` is not a base path", "2:13"),
    case(GROUP, "\"/\"", "\"/[v]\"", "`/[v]` is not a base path", "2:13"),
    case(GROUP, "\"*.example.net\"", "\"a..b\"", "`a..b` is not a domain", "3:31"),
    case(
        GROUP,
        "\"*.example.net\"",
        "\"API.example.com\"",
        "the domain `API.example.com` with the base path `/` is claimed twice",
        "3:31",
    ),
    case(
        GROUP,
        "\"*.example.net\"",
        "\"nginx-demo.localhost\"",
        "the domain `nginx-demo.localhost` with the base path `/` is claimed twice",
        "1:8",
    ),
    case(GROUP, "= 1000", "= -1", "default_domain_calls_per_day = -1 is out of range", "4:32"),
    // groups/GROUP/apis/
    case(API, "name = \"nginx-test\"", "name = \"nginx\"", "the name of an API differs from the one in its path", "1:8"),
    case(API, "type = \"app\" ", "type = \"ap\" ", "`ap` is not a value of this key", "4:8"),
    case(API, "\"header-query\"", "\"query\"", "`query` is not a value of this key", "5:12"),
    case(
        API,
        "app_code = \"header-query\"        # \"off\" | \"header\" | \"header-query\"\nsignature_methods = [\"HMAC_SHA256\"]",
        "signature_methods = []",
        "nobody could call this API: it takes neither signatures nor AppCodes",
        "5:21",
    ),
    case(API, "[\"HMAC_SHA256\"]", "[\"HMAC_MD5\"]", "`HMAC_MD5` is not a value of this key", "6:22"),
    case(API, "[\"http\", \"https\"]", "[]", "an API has at least one protocol", "10:13"),
    case(API, "\"/nginx\"", "\"nginx\"", "`nginx` is not a path template", "11:8"),
    case(API, "\"/nginx\"", "\"/*/a\"", "`/*/a` is not a path template", "11:8"),
    case(
        API,
        "\"GET\"                   # or a list",
        "\"GTE\"                   # or a list",
        "`GTE` is not a method of an API",
        "12:10",
    ),
    case(
        API,
        "\"GET\"                   # or a list",
        "[\"GET\", \"GET\"] # or a list",
        "the method `GET` is listed twice",
        "12:18",
    ),
    case(API, "\"GET\"                   # or a list", "[] # or a list", "an API has at least one method", "12:10"),
    case(API, "\"pass-through\"", "\"mapping\"", "`mapping` is not a value of this key", "13:8"),
    case(API, "\"pass-through\"", "\"pass-through\"\nbody_bytes = -1", "body_bytes = -1 is out of range", "14:14"),
    case(
        API,
        "\"pass-through\"",
        "\"pass-through\"\nbody_bytes = 1099511627777",
        "body_bytes = 1099511627777 is out of range",
        "14:14",
    ),
    case(API, "\"vpc\"", "\"http\"", "`http` is not a value of this key", "16:8"),
    case(API, "\"nginx-microservice\"", "\"nginx\"", "there is no VPC access `nginx`", "17:14"),
    case(API, "path = \"/\"", "path = \"/[id]\"", "the backend path uses `[id]`, which the request path does not have", "18:8"),
    case(API, "path = \"/\"", "path = \"/*\"", "the backend path uses `*`, which the request path does not have", "18:8"),
    case(
        API,
        "\"GET\"                   # or \"ANY\"",
        "\"any\"                   # or \"ANY\"",
        "`any` is not a method of an API",
        "19:10",
    ),
    case(API, "= 10000", "= 0", "timeout_ms = 0 is out of range", "20:14"),
    case(API, "\"nginx-microservice\"", "\"#access\"", "a `#` stands alone: `#access`", "17:14"),
    case(API, "\"nginx-microservice\"", "\"##\"", "`` is not a name of a variable: `##`", "17:14"),
    case(API, "\"nginx-microservice\"", "\"#access#\"", "the stage RELEASE has no variable `access`", "17:14"),
    // apps/
    case(APP, "\"demo-app\"", "\"demo\"", "the name of an app differs from the one in its path", "2:8"),
    case(APP, "\"24601001\"", "\"a b\"", "this is not an app key", "3:11"),
    case(APP, "app_secret =", "app_secre =", "unknown key `app_secre`", "4:1"),
    case(APP, "app_key = \"24601001\"", "", "this secret has no app key", "4:14"),
    case(APP, "app_secret =", "#", "this app key has no secret", "3:11"),
    case(APP, "\"sample-secret-not-for-use\"", "\"\"", "`app_secret` is empty", "4:14"),
    case(APP, "\"sample-secret-not-for-use\"", "12345", "this value must be a string", "4:14"),
    case(APP, "\"sample-appcode-not-for-use\"", "\"a b\"", "this AppCode cannot be sent", "5:12"),
    case(APP, "app_code =", "app_code_file = \"none\"\napp_code =", "both `app_code` and `app_code_file` are given", "5:17"),
    case(
        APP,
        "app_code = ",
        "app_code_file = ",
        "the file `sample-appcode-not-for-use`: this file cannot be read: No such file or directory",
        "5:17",
    ),
    case(APP, "[[authorization]]", "[[credential]]\n[[authorization]]", "there are no credentials here", "7:1"),
    case(
        APP,
        "[[authorization]]",
        "[[credential]]\napp_code = \"sample-appcode-not-for-use\"\n[[authorization]]",
        "this AppCode is used twice",
        "8:12",
    ),
    case(
        APP,
        "[[authorization]]",
        "[[credential]]\napp_key = \"24601001\"\napp_secret = \"x\"\n[[authorization]]",
        "the app key `24601001` is used twice",
        "8:11",
    ),
    case(APP, "nginx-demo/nginx-test", "nginx-demo", "`nginx-demo` does not name an API", "8:7"),
    case(APP, "nginx-demo/nginx-test", "nginx/nginx-test", "there is no group `nginx`", "8:7"),
    case(APP, "nginx-demo/nginx-test", "nginx-demo/nginx-tst", "there is no API `nginx-tst` in group `nginx-demo`", "8:7"),
    case(APP, "[\"RELEASE\"]", "[\"RELAESE\"]", "there is no stage `RELAESE`", "9:11"),
    case(APP, "[\"RELEASE\"]", "[\"PRE\", \"PRE\"]", "`nginx-demo/nginx-test` is authorized twice in stage PRE", "9:18"),
    case(APP, "[\"RELEASE\"]", "[]", "an authorization has at least one stage", "9:10"),
    case(APP, "2030-01-01T00:00:00Z", "2030-01-01", "`2030-01-01` is not a time", "10:11"),
    // published/
    case(MANIFEST, "generation = 1", "generation = 2", "this published file is damaged", "1:1"),
    case(MANIFEST, "sha256 = \"", "sha256 = \"0", "this published file is damaged", "1:1"),
];

#[test]
fn every_error_names_its_place() {
    let mut wrong = String::new();
    for case in CASES {
        let sample = Sample::new();
        sample.edit(case.file, case.from, case.to);
        let text = report(&sample);
        let place = format!("{}:{}", case.file, case.place);
        let found = errors(&text).any(|(error, at)| error.starts_with(case.error) && at.ends_with(&place));
        // A published version may suffer from the same change; no other file says anything.
        let others = errors(&text).filter(|(_, at)| !at.contains(&case.file.to_owned()) && !at.contains("published/")).count();
        let more = errors(&text).filter(|(_, at)| at.contains(case.file)).count() > 1;
        if !found || others > 0 || more || text.contains("sample-secret") || text.contains("12345") {
            wrong.push_str(&format!("wanted `{}` at {place}, alone and without secrets, got\n{text}\n", case.error));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What the checker says of a config directory that has errors.
fn report(sample: &Sample) -> String {
    catalog::load(&sample.path("")).err().map(|report| report.to_string()).unwrap_or_default()
}

/// The one published version of the sample.
fn version_file(sample: &Sample) -> String {
    let manifest = sample.read("published/RELEASE/nginx-demo/1.toml");
    let version = manifest.split('"').nth(1).unwrap();
    format!("published/RELEASE/nginx-demo/nginx-test/{version}.toml")
}

/// Each error's message and place.
fn errors(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines: Vec<&str> = text.lines().collect();
    let pairs: Vec<_> =
        lines.windows(2).filter_map(|two| Some((two[0].strip_prefix("error: ")?, two[1].trim().strip_prefix("--> ")?))).collect();
    pairs.into_iter()
}

/// Lists that are there and empty, and keys missing in two places.
#[test]
fn what_is_empty_is_an_error() {
    let empty: [(&str, &str, &str, &str); 5] = [
        (GATEWAY, "listener = []\n[instance]\nname = \"a\"\n", "there is no listener", "1:12"),
        (VPC, "name = \"nginx-microservice\"\nvpc_id = \"v\"\ninstance = []\n", "a VPC access has at least one instance", "3:12"),
        (
            VPC,
            "name = \"nginx-microservice\"\nvpc_id = \"v\"\n[[instance]]\naddress = \"::1\"\n",
            "this instance has no port",
            "4:11",
        ),
        (APP, "name = \"demo-app\"\n", "there are no credentials here", "1:8"),
        (APP, "name = \"demo-app\"\napp_code_file = \"empty\"", "`app_code` is empty", "2:17"),
    ];
    for (file, text, wanted, place) in empty {
        let sample = Sample::new();
        fs::write(sample.path("apps/empty"), "\n").unwrap();
        fs::write(sample.path(file), text).unwrap();
        let text = report(&sample);
        let found: Vec<_> = errors(&text).collect();
        assert!(matches!(found[..], [(error, at)] if error == wanted && at.ends_with(&format!("{file}:{place}"))), "{text}");
    }
}

#[test]
fn every_error_of_a_run_is_shown() {
    let sample = Sample::new();
    sample.edit(GATEWAY, "workers = 2", "workers = 0");
    sample.edit(VPC, "port = 80\n", "port = 0\n");
    sample.edit(API, "\"pass-through\"", "5");
    sample.edit(API, "timeout_ms", "timeout");
    sample.edit(API, "type = \"app\" ", "type = \"ap\" ");
    sample.edit(API, "path = \"/\"", "path = \"\"");
    assert_eq!(errors(&report(&sample)).count(), 6, "{}", report(&sample));
}

#[test]
fn an_error_is_shown_the_way_rustc_does() {
    let sample = Sample::new();
    sample.edit(GROUP, "domains", "domain");
    let wanted = "error: unknown key `domain`
 --> config/groups/nginx-demo/group.toml:3:1
  |
3 | domain = [\"api.example.com\", \"*.example.net\"]   # names, \"*.name\", an IP address, or \"*\" (any Host)
  | ^^^^^^
  |
  = note: keys allowed here: `name`, `description`, `base_path`, `domains`, `default_domain_calls_per_day`, `forward_app_code`, `https_policy`, `https_redirect`, `certificate`, `client_certificate`, `stage`
  = help: did you mean `domains`?

1 error
";
    assert_eq!(sample.fails(&["check"]), wanted);
}

#[test]
fn a_published_version_without_its_vpc_access_names_both_places() {
    let sample = Sample::new();
    fs::rename(sample.path(VPC), sample.path("vpc-access/other.toml")).unwrap();
    sample.edit("vpc-access/other.toml", "name = \"nginx-microservice\"", "name = \"other\"");
    let text = report(&sample);
    let version = text.split("error: ").find(|error| error.contains(&version_file(&sample))).unwrap();
    assert!(version.starts_with("there is no VPC access `nginx-microservice`"), "{text}");
    assert!(version.contains("nginx-demo/1.toml:3:14"), "{text}");
}

#[test]
fn the_sample_means_what_it_says() {
    let sample = Sample::new();
    assert!(sample.ok(&["check"]).contains("no errors"));
    let catalog = catalog::load(&sample.path("")).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(catalog.stages, ["RELEASE", "PRE", "TEST"]);
    assert_eq!(catalog.security.signature_window_ms, 900_000);
    assert_eq!(catalog.vpc_accesses[0].instances[0].address.to_string(), "127.0.0.1:8081");
    assert_eq!(catalog.groups[0].base_path, "");
    assert_eq!(catalog.groups[0].default_domain, "nginx-demo.localhost");
    assert_eq!(catalog.apis.len(), 1);
    let authorization = &catalog.apps.iter().next().unwrap().authorizations[0];
    let api = catalog.names.name(authorization.api);
    assert_eq!((api, authorization.expires_ms), ("nginx-demo/nginx-test", Some(1_893_456_000_000)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes of good documents are changed, cut out and put in at random: the loader says what is wrong, or nothing is.
    #[test]
    fn no_file_brings_the_loader_down(
        edits in prop::collection::vec((0..6usize, any::<prop::sample::Index>(), 0..40usize, "[\\PC\n]{0,12}|[\\[\\]\"={}#.,' \n]{0,6}|[0-9-]{0,20}"), 1..8)
    ) {
        let sample = Sample::new();
        for (file, at, cut, put) in edits {
            let path = sample.path([GATEWAY, VPC, GROUP, API, APP, MANIFEST][file]);
            let mut text = fs::read(&path).unwrap();
            let start = at.index(text.len().max(1)).min(text.len());
            let end = (start + cut).min(text.len());
            text.splice(start..end, put.bytes());
            fs::write(&path, text).unwrap();
        }
        if let Err(report) = catalog::load(&sample.path("")) {
            prop_assert!(!report.is_empty());
            prop_assert!(report.to_string().contains("error"));
        }
    }
}
