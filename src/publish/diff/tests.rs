use super::*;

const API: &str = "name = \"a\"\n[authentication]\ntype = \"app\"\n[request]\npath = \"/a\"\nmethod = \"GET\"\n\
                   [backend]\ntype = \"vpc\"\nvpc_access = \"v\"\npath = \"/\"\n";

fn said(from: &str, to: &str) -> Vec<String> {
    let api = |text: &str| toml::from_str::<Api>(text).unwrap();
    definitions(&api(from), &api(to)).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn what_means_the_same_is_no_difference() {
    for (from, to) in [
        ("path = \"/\"\n", "path = \"/\"\ntimeout_ms = 10_000\nmethod = \"ANY\"\n"),
        ("type = \"app\"", "type = \"app\"\napp_code = \"off\"\nsignature_methods = [\"HMAC_SHA256\"]\nrequire_nonce = false"),
        ("method = \"GET\"", "method = [\"GET\"]\nprotocols = [\"https\", \"http\"]\nmode = \"pass-through\""),
        ("name = \"a\"", "name = \"a\"\ndescription = \"\""),
    ] {
        assert_eq!(said(API, &API.replacen(from, to, 1)), Vec::<String>::new(), "{to}");
    }
    let open = API.replace("\"app\"", "\"none\"");
    assert_eq!(said(&open, &open.replace("\"none\"", "\"none\"\napp_code = \"header\"")), Vec::<String>::new());
}

#[test]
fn differences_are_said_in_words() {
    for (from, to, words) in [
        ("path = \"/\"\n", "path = \"/\"\ntimeout_ms = 500\n", "backend timeout: 10000 ms -> 500 ms"),
        ("\"GET\"", "[\"PUT\", \"POST\"]", "methods: + PUT, + POST, - GET"),
        ("\"app\"", "\"app\"\nrequire_nonce = true", "a nonce is required: no -> yes"),
        ("\"app\"", "\"app\"\napp_code = \"header\"", "AppCode is taken from: off -> header"),
        ("\"GET\"", "\"GET\"\nbody_bytes = 1000", "largest body: that of the instance -> 1000 bytes"),
        ("\"GET\"", "\"GET\"\nupgrades = [\"websocket\"]", "protocols to switch to: + websocket"),
        ("path = \"/a\"", "path = \"/b/[id]\"", "path: /a -> /b/[id]"),
        ("name = \"a\"", "name = \"a\"\ndescription = \"one\\ntwo\"", "description: none -> one\\ntwo"),
    ] {
        assert_eq!(said(API, &API.replacen(from, to, 1)), [words]);
    }
    let open = API.replace("\"app\"", "\"none\"");
    assert_eq!(said(API, &open), ["who may call: app -> none"]);
    assert_eq!(said(&open, API).last().unwrap(), "who may call: none -> app");
}

#[test]
fn a_new_table_is_said_key_by_key() {
    let with = format!("{API}[response]\ncontent_type = \"text/html\"\nexample = \"{}\"\n", "x".repeat(80));
    let said = said(API, &with);
    assert_eq!(said[0], "content type: none -> text/html");
    assert_eq!(said[1], format!("example of an answer: none -> {}...", "x".repeat(60)));
}
