//! The canonical rule against a slow and plain reading of the product's text, on requests made at random.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The string to sign as the specification tells it, with strings, maps and no thought for speed.
fn oracle(request: &Request) -> Vec<u8> {
    let header = |name: &str| {
        let found = request.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        String::from_utf8(found.map(|(_, value)| value.trim_ascii().to_vec()).unwrap_or_default()).unwrap()
    };
    let mut string = String::from_utf8(request.method.to_ascii_uppercase()).unwrap() + "\n";
    for name in ["Accept", "Content-MD5", "Content-Type", "Date"] {
        string += &(header(name) + "\n");
    }
    let listed = header("X-Ca-Signature-Headers");
    let mut names: Vec<&str> = listed.split(',').map(str::trim).collect();
    names.sort();
    names.dedup();
    let excluded = ["", "x-ca-signature", "x-ca-signature-headers", "accept", "content-md5", "content-type", "date"];
    for name in names {
        if !excluded.contains(&name.to_lowercase().as_str()) {
            string += &format!("{name}:{}\n", header(name));
        }
    }
    let target = String::from_utf8(request.target.clone()).unwrap();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut string = [string.into_bytes(), decoded(&path.replace('+', "%2B"))].concat();

    // Sorted by UTF-16 code units; the last to be put in wins, so they go in from the back.
    let mut parameters: BTreeMap<Vec<u16>, (Vec<u8>, Vec<u8>)> = BTreeMap::new();
    let form =
        request.form.clone().filter(|_| header("Content-Type").to_lowercase().starts_with("application/x-www-form-urlencoded"));
    let form = String::from_utf8(form.unwrap_or_default()).unwrap();
    for pair in query.split('&').rev().chain(form.split('&').rev()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decoded(key);
        if !key.is_empty() {
            let utf16 = std::str::from_utf8(&key).unwrap().encode_utf16().collect();
            parameters.insert(utf16, (key, decoded(value)));
        }
    }
    for (nth, (key, value)) in parameters.into_values().enumerate() {
        string.push(if nth == 0 { b'?' } else { b'&' });
        string.extend(key);
        if !value.is_empty() {
            string.push(b'=');
            string.extend(value);
        }
    }
    string
}

fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            _ => out.push(byte),
        }
    }
    out
}

fn written(request: &Request, scratch: &mut Scratch) -> Vec<u8> {
    request.call(|call| {
        let mut out = Vec::new();
        StringToSign::read(call, &mut scratch.headers, &mut scratch.parameters).unwrap().write(Variant::CANONICAL, &mut out);
        out
    })
}

/// Percent-encodes what needs it, and some of what does not.
fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() && byte != b'e';
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") }).collect()
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-C0-2e]{0,3}".prop_map(|text| encode(&text)),
        "[ -~]{0,4}".prop_map(|text| encode(&text)),
        "[a\u{e000}\u{ffff}\u{fffd}\u{10000}\u{1f600}\u{d7ff}é北]{0,3}".prop_map(|text| encode(&text)),
        Just("a+b".to_owned()),
    ]
}

fn pairs() -> impl Strategy<Value = String> {
    let pair = prop_oneof![3 => (word(), word()).prop_map(|(key, value)| format!("{key}={value}")), 1 => word()];
    prop::collection::vec(pair, 0..30).prop_map(|pairs| pairs.join("&"))
}

prop_compose! {
    fn request()(
        method in "(GET|POST|put|DELETE)",
        path in prop::collection::vec(word(), 0..4),
        query in prop::option::of(pairs()),
        form in prop::option::of(pairs()),
        is_form in any::<bool>(),
        list in prop::collection::vec("( ?(X-Ca-Key|x-ca-key|X-A|x-a|X-a|b|Date|Accept|X-Ca-Signature| ))", 0..30),
        headers in prop::collection::vec(("(X-A|b|Date|Accept|x-c)", "[ -~é]{0,8}"), 0..8),
    ) -> Request {
        let mut target = format!("/{}", path.join("/"));
        if let Some(query) = query {
            target = format!("{target}?{query}");
        }
        let mut request = Request::new(&method, &target).header("X-Ca-Signature-Headers", list.join(","));
        if let Some(form) = form {
            let content_type = if is_form { "Application/X-WWW-form-urlencoded; charset=UTF-8" } else { "text/plain" };
            request = request.header("Content-Type", content_type).header("Content-Length", form.len().to_string()).form(form);
        }
        for (name, value) in headers {
            request = request.header(&name, value);
        }
        request
    }
}

proptest! {
    #[test]
    fn the_string_is_that_of_the_oracle(requests in prop::collection::vec(request(), 1..4)) {
        // One scratch for all: nothing of a request is left for the next.
        let mut scratch = Scratch::default();
        for request in requests {
            prop_assert_eq!(
                String::from_utf8_lossy(&written(&request, &mut scratch)).into_owned(),
                String::from_utf8_lossy(&oracle(&request)).into_owned()
            );
        }
    }

    #[test]
    fn what_is_signed_passes_and_what_was_changed_since_does_not(
        request in request(), at in any::<prop::sample::Index>(), in_header in any::<bool>(), byte in "[a-zA-Z0-9=&+]",
    ) {
        let mut gate = Gate::new();
        gate.catalog.security.tolerances.clear();
        let request = signed(request.without("X-Ca-Signature-Headers"));
        prop_assert!(gate.judge(&request).is_ok());

        let mut changed = request.clone();
        let text = match in_header {
            true => {
                let nth = at.index(changed.headers.len());
                &mut changed.headers[nth].1
            }
            false => &mut changed.target,
        };
        prop_assume!(text.len() > 1);
        let place = 1 + at.index(text.len() - 1);
        // Escapes stay whole and names of headers stay as they are; a byte that is not ASCII is part of a character.
        prop_assume!(text[place].is_ascii_graphic() && !text[place.saturating_sub(2)..=place].contains(&b'%'));
        text[place] = byte.as_bytes()[0];
        let signature = |request: &Request| request.headers.iter().find(|(name, _)| name == b"X-Ca-Signature").cloned();
        let same = oracle(&changed) == oracle(&request) && signature(&changed) == signature(&request);
        match gate.judge(&changed) {
            Ok(_) => prop_assert!(same),
            Err(refusal) => prop_assert!(!same, "{:?}", refusal),
        }
    }
}
