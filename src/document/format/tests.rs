use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;
use crate::document::kind::{KINDS, Kind};

fn formatted(kind: &str, text: &str) -> String {
    format(text, &Kind::named(kind).unwrap().schema()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn keys_and_tables_take_the_order_of_the_schema_and_their_comments_along() {
    let text = "\n\n#:schema x\n#  the file\n\n\n# of the backend\n[backend]  # b\n  path=\"/\"   # p\n# what\n\n\n  type =   'vpc'\n\
                unknown = 1\nvpc_access = \"v\"\n\n[authentication]\ntype=\"none\"\n[request] \nmethod = [ 'GET','PUT', ]\n\
                path= \"/a\"\n# the end\n\n";
    let wanted = "#:schema x\n#  the file\n\n[authentication]\ntype = \"none\"\n\n[request]\npath = \"/a\"\nmethod = ['GET', 'PUT']\n\n\
                  # of the backend\n[backend]  # b\n# what\n\ntype = 'vpc'\nvpc_access = \"v\"\npath = \"/\"   # p\nunknown = 1\n# the end\n";
    assert_eq!(formatted("api", text), wanted);
}

#[test]
fn a_list_keeps_its_lines_and_its_comments() {
    let text = "name = \"g\"\ndomains = [\n\"a.b\"  ,\n   \"c.d\"]\n";
    assert_eq!(formatted("group", text), "name = \"g\"\ndomains = [\n    \"a.b\",\n    \"c.d\",\n]\n");
    let text = "name = \"g\"\ndomains = [ # all\n  \"a.b\", # one\n]\n";
    assert_eq!(formatted("group", text), text);
}

#[test]
fn what_is_no_toml_is_refused() {
    assert!(matches!(format("a = ", &Value::Null), Err(FormatError::Syntax(_))));
}

#[test]
fn an_empty_document_stays_one() {
    assert_eq!(formatted("app", "\n# c\n"), "# c\n");
    assert_eq!(formatted("app", "# c"), "# c\n");
}

/// A key of a kind's schema with a value, spelled freely, or a key of nobody's.
fn line(keys: Vec<String>) -> impl Strategy<Value = (String, String)> {
    let value = prop_oneof![
        Just("1".to_owned()),
        Just("\"# no comment\"".to_owned()),
        Just("\"\"\"\nlines\n# of text\n\"\"\"".to_owned()),
        Just("[ 1,2 ,  3 , ]".to_owned()),
        Just("[\n  'a', # c7\n  'b'\n]".to_owned()),
        Just("[\n1,\n\n 2 ]".to_owned()),
        Just("{a=1, b = [ { c=2 } ]}".to_owned()),
        Just("[{ x = 1 },{y=2}]".to_owned()),
    ];
    let around = ("( |\t){0,3}", "(\n{0,3}# c[0-9]{1,3}\n{1,3}){0,2}", "( |\t){0,2}", "( |\t){0,2}(# t[0-9]{1,3})?");
    (prop::sample::select(keys), value, around).prop_map(|(key, value, (indent, above, space, behind))| {
        (key.clone(), format!("{above}{indent}{key}{space}={space}{value}{behind}\n"))
    })
}

/// A whole document: keys of the root, then tables with theirs, in any order.
fn document() -> impl Strategy<Value = (usize, String)> {
    (0..KINDS.len()).prop_flat_map(|kind| {
        let schema = KINDS[kind].schema();
        let properties = schema["properties"].as_object().unwrap().clone();
        let (mut plain, mut tables) = (vec!["odd".to_owned()], Vec::new());
        for (key, of) in properties {
            let inner =
                |of: &Value| of["properties"].as_object().map(|keys| keys.keys().cloned().chain(["odd".into()]).collect());
            match (inner(&of), inner(&of["items"])) {
                (Some(keys), _) => tables.push((format!("[{key}]"), keys)),
                (_, Some(keys)) => tables.push((format!("[[{key}]]"), keys)),
                _ => plain.push(key),
            }
        }
        tables.push(("[odd_table]".into(), vec!["x".to_owned(), "y".into()]));
        let count = tables.len();
        let block = |keys: Vec<String>| {
            prop::collection::vec(line(keys), 0..6).prop_map(|lines| {
                let mut seen = std::collections::BTreeSet::new();
                lines.into_iter().filter(|(key, _)| seen.insert(key.clone())).map(|(_, text)| text).collect::<String>()
            })
        };
        let tables = subsequence(tables, 0..=count).prop_shuffle().prop_flat_map(move |tables| {
            let blocks: Vec<_> = tables
                .into_iter()
                .map(|(header, keys)| {
                    ("(\n{0,2}# h[0-9]{1,3}\n)?", block(keys)).prop_map(move |(above, text)| format!("{above}{header}\n{text}"))
                })
                .collect();
            blocks
        });
        let end = "(\n{0,3}# e[0-9]{1,3}\n{0,2}){0,2}";
        ("(#:schema s\n)?(# f[0-9]{1,3}\n){0,2}\n{0,2}", block(plain), tables, end)
            .prop_map(move |(head, root, tables, end)| (kind, format!("{head}{root}{}{end}", tables.concat())))
    })
}

fn comments(text: &str) -> Vec<String> {
    let mut found: Vec<String> =
        text.split('#').skip(1).map(|rest| rest.lines().next().unwrap_or_default().trim().to_owned()).collect();
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn formatting_keeps_meaning_and_comments_and_is_done_once((kind, text) in document()) {
        let schema = KINDS[kind].schema();
        let once = format(&text, &schema);
        prop_assert!(once.is_ok(), "{:?}\n{}", once, text);
        let once = once.unwrap_or_default();
        prop_assert_eq!(text.parse::<toml::Table>(), once.parse::<toml::Table>());
        prop_assert_eq!(comments(&text), comments(&once), "{}\n---\n{}", text, once);
        let twice = format(&once, &schema);
        prop_assert_eq!(twice.as_ref(), Ok(&once), "{}", text);
        prop_assert!(!once.contains("\n\n\n") || text.contains("\"\"\""), "{}", once);
    }
}
