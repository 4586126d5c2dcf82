//! What clients are known to sign in place of what they send, piece by piece of the string to sign.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use super::super::signed_headers::is_excluded;
use super::super::string_to_sign::{Message, StringToSign};
use super::super::variant::Variant;
use super::resource;
use crate::catalog::Catalog;
use crate::gate::Call;
use crate::http::field::FieldId;

/// A string to sign in its seven pieces: method, `Accept`, `Content-MD5`, `Content-Type`, `Date`, the lines of the signed
/// headers, and path with parameters.
#[derive(Clone)]
pub(super) struct Text {
    pieces: [Vec<u8>; 7],
}

const METHOD: usize = 0;
const ACCEPT: usize = 1;
const CONTENT_MD5: usize = 2;
const CONTENT_TYPE: usize = 3;
const DATE: usize = 4;
const HEADERS: usize = 5;
const RESOURCE: usize = 6;

/// One piece as a client may have signed it, and what it did to sign that; nothing for the piece as it is.
pub(super) struct Guess {
    pub piece: usize,
    pub text: Vec<u8>,
    pub mistakes: Vec<String>,
}

impl Text {
    pub fn read(call: &Call<'_>, string: &mut StringToSign<'_>) -> Self {
        let message = Message::of(call);
        let [mut headers, mut resource] = [Vec::new(), Vec::new()];
        string.write_headers(&mut headers);
        string.write_resource(Variant::CANONICAL, &mut resource);
        let [accept, content_md5, content_type, date] = message.fields.map(<[u8]>::to_vec);
        Self { pieces: [message.method.to_ascii_uppercase(), accept, content_md5, content_type, date, headers, resource] }
    }

    /// With the pieces of these guesses.
    pub fn with<'t>(&'t self, guesses: &[&'t Guess]) -> Pieces<'t> {
        let mut pieces = self.pieces.each_ref().map(Vec::as_slice);
        for guess in guesses {
            pieces[guess.piece] = &guess.text;
        }
        Pieces(pieces)
    }
}

/// The pieces of a [`Text`], some of them guessed.
pub(super) struct Pieces<'t>([&'t [u8]; 7]);

impl Pieces<'_> {
    pub fn join(&self) -> Vec<u8> {
        let [method, accept, content_md5, content_type, date, headers, resource] = self.0;
        [&[method, accept, content_md5, content_type, date, b""].join(&b'\n')[..], headers, resource].concat()
    }
}

/// All guesses about a request, the truth first. No two are alike.
pub(super) fn of(call: &Call<'_>, message: &Message<'_>, text: &Text, catalog: &Catalog) -> Vec<Guess> {
    let mut guesses = vec![Guess { piece: METHOD, text: text.pieces[METHOD].clone(), mistakes: Vec::new() }];
    let mut add = |piece: usize, guess: Vec<u8>, mistakes: Vec<String>| {
        let known = guesses.iter_mut().find(|known| known.piece == piece && known.text == guess);
        match known {
            Some(known) if known.mistakes.len() > mistakes.len() => known.mistakes = mistakes,
            Some(_) => {}
            None if text.pieces[piece] == guess => {}
            None => guesses.push(Guess { piece, text: guess, mistakes }),
        }
    };
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"] {
        add(
            METHOD,
            method.into(),
            vec![format!("the method was signed as {method}, but the request is sent with another (a redirect?)")],
        );
    }
    add(METHOD, text.pieces[METHOD].to_ascii_lowercase(), vec!["the method was signed in lower case".to_owned()]);
    for (piece, name, guess) in fields(message) {
        let sent = String::from_utf8_lossy(&text.pieces[piece]).into_owned();
        let mistake = match (sent.is_empty(), guess.is_empty()) {
            (false, true) => {
                format!("{name} was signed as absent, but sent as `{sent}`: set after signing, often by the HTTP library")
            }
            (true, _) => format!("{name} was signed as `{}`, but not sent", String::from_utf8_lossy(&guess)),
            _ => format!("{name} was signed as `{}`, but sent as `{sent}`", String::from_utf8_lossy(&guess)),
        };
        add(piece, guess, vec![mistake]);
    }
    for (mistake, guess) in headers(call) {
        add(HEADERS, guess, vec![mistake.to_owned()]);
    }
    let base_paths: Vec<&str> = catalog.groups.iter().map(|group| group.base_path.as_str()).collect();
    for (guess, mistakes) in resource::guesses(message, &base_paths) {
        add(RESOURCE, guess, mistakes);
    }
    guesses
}

/// Values of the four fields with a line of their own.
fn fields(message: &Message<'_>) -> Vec<(usize, &'static str, Vec<u8>)> {
    let [_, content_md5, content_type, _] = message.fields;
    let body = message.body.unwrap_or_default();
    let digest = Md5::digest(body);
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut guesses = Vec::new();
    let accepts = ["", "*/*", "application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"];
    let accepts =
        accepts.into_iter().chain(["application/json, text/plain, */*", "application/json,*/*", "text/plain", "text/html"]);
    guesses.extend(accepts.map(|value| (ACCEPT, "Accept", value.into())));
    for value in [String::new(), STANDARD.encode(digest), digits.clone(), STANDARD.encode(&digits), digits.to_uppercase()] {
        guesses.push((CONTENT_MD5, "Content-MD5", value.into()));
    }
    guesses.push((CONTENT_MD5, "Content-MD5", content_md5.to_ascii_lowercase()));

    let sent = String::from_utf8_lossy(content_type);
    let media_type = sent.split(';').next().unwrap_or_default().trim();
    let common = [
        "application/json",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "text/plain",
        "multipart/form-data",
    ];
    guesses.push((CONTENT_TYPE, "Content-Type", Vec::new()));
    for media_type in common.into_iter().chain([media_type]).filter(|media_type| !media_type.is_empty()) {
        for parameter in ["", "; charset=utf-8", ";charset=utf-8", "; charset=UTF-8", ";charset=UTF-8", " ;charset=UTF-8", ";"] {
            guesses.push((CONTENT_TYPE, "Content-Type", format!("{media_type}{parameter}").into()));
        }
    }
    guesses.push((CONTENT_TYPE, "Content-Type", sent.to_lowercase().into()));
    guesses.push((CONTENT_TYPE, "Content-Type", sent.replace(' ', "").into()));
    guesses.push((CONTENT_TYPE, "Content-Type", sent.replace("; ", ";").replace(';', "; ").into()));
    guesses.push((DATE, "Date", Vec::new()));
    guesses
}

/// The lines of the signed headers, otherwise.
fn headers(call: &Call<'_>) -> Vec<(&'static str, Vec<u8>)> {
    let list = call.request.field(FieldId::XCaSignatureHeaders).unwrap_or_default();
    let all: Vec<&[u8]> = list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).collect();
    let names: Vec<&[u8]> = all.iter().copied().filter(|name| !is_excluded(name)).collect();
    let value = |name: &[u8]| {
        let line = call.request.fields().find(|(_, known, _)| known.eq_ignore_ascii_case(name));
        line.map(|(_, _, value)| value).unwrap_or_default()
    };
    let lines = |names: &[&[u8]], spell: fn(&[u8]) -> Vec<u8>, colon: &[u8]| {
        names.iter().flat_map(|&name| [&spell(name), colon, value(name), b"\n"].concat()).collect::<Vec<u8>>()
    };
    let sorted_by = |key: fn(&[u8]) -> Vec<u8>| {
        let mut names = names.clone();
        names.sort_by_key(|name| key(name));
        names.dedup();
        names
    };
    let sorted = sorted_by(<[u8]>::to_vec);
    let present: Vec<&[u8]> = sorted.iter().copied().filter(|name| !value(name).is_empty()).collect();
    let mut with_excluded: Vec<&[u8]> = all.iter().copied().filter(|name| !name.is_empty()).collect();
    with_excluded.sort();
    let as_listed = <[u8]>::to_vec;
    vec![
        ("no header was signed, though X-Ca-Signature-Headers lists some", Vec::new()),
        (
            "names of signed headers were signed in lower case, but listed otherwise",
            lines(&sorted, <[u8]>::to_ascii_lowercase, b":"),
        ),
        (
            "names of signed headers were signed in lower case and sorted so, but listed otherwise",
            lines(&sorted_by(<[u8]>::to_ascii_lowercase), <[u8]>::to_ascii_lowercase, b":"),
        ),
        (
            "names of signed headers were signed as `X-Ca-Key`, but listed otherwise (in lower case?)",
            lines(&sorted_by(title_case), title_case, b":"),
        ),
        ("signed headers were not sorted", lines(&names, as_listed, b":")),
        ("signed headers were sorted without regard to case", lines(&sorted_by(<[u8]>::to_ascii_lowercase), as_listed, b":")),
        ("signed headers were written with a blank after the colon", lines(&sorted, as_listed, b": ")),
        ("signed headers that are empty or absent were left out", lines(&present, as_listed, b":")),
        (
            "headers that never count among the signed ones (Accept, Date ...) were signed among them",
            lines(&with_excluded, as_listed, b":"),
        ),
    ]
}

fn title_case(name: &[u8]) -> Vec<u8> {
    let mut start = true;
    let spell = |byte: &u8| {
        let spelt = if start { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
        start = *byte == b'-';
        spelt
    };
    name.iter().map(spell).collect()
}
