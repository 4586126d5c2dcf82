//! Why is this signature refused? The server's string to sign, the signature it should have had, and, where a mistake
//! that clients are known to make accounts for the difference, its name.
//!
//! The search is by trial: [`guesses`] holds the ways in which clients are known to go wrong; the text that each would have
//! signed is signed with the app's secret, and the one whose signature is the given one is what happened. A match is proof.
//! Nothing here prints a secret.

mod guesses;
mod resource;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::apps::Apps;
use super::signature::{Method, Signature, Signer};
use super::string_to_sign::{Message, StringToSign};
use super::variant::Variant;
use super::{Scratch, check_timestamp, content_md5, milliseconds};
use crate::catalog::{AppKey, Catalog, Tolerance};
use crate::gate::{Call, ErrorCode, Refusal};
use crate::http::field::FieldId;
use guesses::{Guess, Text};

/// What there is to say about the signature of one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Explanation {
    pub app: String,
    pub app_key: String,
    pub method: Method,
    /// The server's string to sign, by the canonical rule.
    pub string_to_sign: Vec<u8>,
    pub given: String,
    /// The signature of `string_to_sign`.
    pub expected: String,
    pub finding: Finding,
    /// What else is wrong with the request, whatever its signature.
    pub notes: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// The signature is that of the canonical string.
    Good,
    /// It is that of a variant which these tolerances accept; `allowed`: the instance has them.
    Tolerance { tolerances: Vec<Tolerance>, allowed: bool },
    /// What the client did, one line each.
    Mistakes(Vec<String>),
    /// Nothing known accounts for it.
    Unknown,
}

/// Explains the signature of a call; `Call::form` must hold the body, whatever its type. Refused is a call without a
/// signature to explain: no app key, an unknown one, an unknown method, or a request that cannot be read.
pub fn explain(call: &Call<'_>, catalog: &Catalog, apps: &Apps, scratch: &mut Scratch) -> Result<Explanation, Refusal> {
    let field = |id| call.request.field(id).unwrap_or_default();
    let key = call.request.field(FieldId::XCaKey).ok_or(Refusal::new(ErrorCode::A400MA))?;
    let (app, app_key) = apps.by_key(catalog, key).ok_or(Refusal::new(ErrorCode::A400IK))?;
    let refused = super::invalid_header("X-Ca-Signature-Method", "unknown method");
    let method = Method::named(field(FieldId::XCaSignatureMethod)).ok_or(refused)?;
    let given = field(FieldId::XCaSignature);

    let mut string = StringToSign::read(call, &mut scratch.headers, &mut scratch.parameters)?;
    let mut string_to_sign = Vec::new();
    string.write(Variant::CANONICAL, &mut string_to_sign);
    let signer = Signer::new(method, app_key);
    let finding = match tolerated(&signer, given, method, &mut string) {
        Some(tolerances) if tolerances.is_empty() => Finding::Good,
        Some(tolerances) => {
            let allowed = tolerances.iter().all(|tolerance| catalog.security.tolerances.contains(tolerance));
            Finding::Tolerance { tolerances, allowed }
        }
        None => {
            let text = Text::read(call, &mut string);
            search(given, method, app_key, &guesses::of(call, &Message::of(call), &text, catalog), &text)
        }
    };
    Ok(Explanation {
        app: catalog.apps.get(app).map(|app| app.name.to_string()).unwrap_or_default(),
        app_key: String::from_utf8_lossy(key).into_owned(),
        method,
        expected: signer.sign_bytes(&string_to_sign).encode(),
        string_to_sign,
        given: String::from_utf8_lossy(given).into_owned(),
        finding,
        notes: notes(call, catalog),
    })
}

/// The tolerances under which the signature is good; none for the canonical string.
fn tolerated(signer: &Signer, given: &[u8], method: Method, string: &mut StringToSign<'_>) -> Option<Vec<Tolerance>> {
    let given = Signature::decode(given, method)?;
    let variant = super::signature::verify(signer, &given, string, &super::variant::ALL)?;
    Some(super::variant::ALL.into_iter().filter(|&tolerance| variant.has(tolerance)).collect())
}

/// The likeliest of the guesses that explain the signature: the fewest departures from the rule. With the app's own secret
/// and method two pieces may be wrong at once, with another only one.
fn search(given: &[u8], method: Method, key: &AppKey, guesses: &[Guess], text: &Text) -> Finding {
    let signatures = readings(given);
    let mut best: Option<Vec<String>> = None;
    let mut attempt = |how_keyed: Option<&str>, signer: &Signer, guesses: &[&Guess]| {
        let signature = signer.sign_bytes(&text.with(guesses).join());
        let Some((how_spelt, _)) = signatures.iter().find(|(_, bytes)| bytes == signature.as_bytes()) else { return };
        let mistakes = guesses.iter().flat_map(|guess| guess.mistakes.iter().map(String::as_str));
        let mistakes: Vec<String> = mistakes.chain(how_keyed).chain(*how_spelt).map(str::to_owned).collect();
        if best.as_ref().is_none_or(|best| mistakes.len() < best.len()) {
            best = Some(mistakes);
        }
    };
    for (how_keyed, signer) in signers(method, key) {
        for (nth, first) in guesses.iter().enumerate() {
            attempt(how_keyed, &signer, &[first]);
            if how_keyed.is_none() {
                let others = guesses[nth + 1..].iter().filter(|second| second.piece != first.piece);
                others.for_each(|second| attempt(None, &signer, &[first, second]));
            }
        }
    }
    best.map_or(Finding::Unknown, Finding::Mistakes)
}

/// The bytes that a signature header may have been meant to spell, and what is wrong with its spelling.
fn readings(given: &[u8]) -> Vec<(Option<&'static str>, Vec<u8>)> {
    let mut readings = Vec::new();
    let mut add = |mistake, bytes: Option<Vec<u8>>| readings.extend(bytes.map(|bytes| (mistake, bytes)));
    let standard = STANDARD.decode(given).ok();
    add(
        Some("the signature is the Base64 of hexadecimal digits, not of the bytes of the HMAC"),
        standard.as_deref().and_then(hex),
    );
    add(None, standard);
    add(Some("the signature is in hexadecimal; it must be in Base64"), hex(given));
    add(Some("the signature lacks the padding (`=`) of Base64"), STANDARD_NO_PAD.decode(given).ok());
    add(
        Some("the signature uses the URL-safe alphabet of Base64 (`-`, `_`) instead of the standard one (`+`, `/`)"),
        URL_SAFE.decode(given).ok(),
    );
    add(Some("the signature uses the URL-safe alphabet of Base64 and lacks its padding"), URL_SAFE_NO_PAD.decode(given).ok());
    readings
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.chunks_exact(2);
    if text.is_empty() || !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8)).collect()
}

/// Who may have signed: the method and the secret as they are, then as clients mistake them.
fn signers(method: Method, key: &AppKey) -> Vec<(Option<&'static str>, Signer)> {
    let secret = key.secret.expose();
    let (other, other_method) = match method {
        Method::HmacSha256 => {
            ("the string was signed with HMAC-SHA1, but X-Ca-Signature-Method says HmacSHA256", Method::HmacSha1)
        }
        Method::HmacSha1 => {
            ("the string was signed with HMAC-SHA256, but X-Ca-Signature-Method says HmacSHA1", Method::HmacSha256)
        }
    };
    let mut signers = vec![(None, Signer::new(method, key)), (Some(other), Signer::new(other_method, key))];
    let mut secrets = vec![
        ("the client's app secret ends with a blank", format!("{secret} ")),
        ("the client's app secret begins with a blank", format!(" {secret}")),
        ("the client's app secret has blanks around it", format!(" {secret} ")),
        ("the client's app secret ends with a line end", format!("{secret}\n")),
        ("the client's app secret ends with a line end (CR LF)", format!("{secret}\r\n")),
        ("the client's app secret ends with a tab", format!("{secret}\t")),
        ("the client's app secret stands in quotes", format!("\"{secret}\"")),
        ("the client's app secret is empty", String::new()),
        ("`&` was added to the app secret, as the signature of cloud API calls wants it", format!("{secret}&")),
        ("the app key was used in place of the app secret", key.key.to_string()),
    ];
    if secret.trim() != secret {
        secrets.push((
            "the app secret in the gateway's files has blanks around it, the client's has none",
            secret.trim().to_owned(),
        ));
    }
    signers.extend(secrets.into_iter().map(|(how, secret)| (Some(how), Signer::with_secret(method, secret.as_bytes()))));
    signers
}

/// What is wrong beside the signature.
fn notes(call: &Call<'_>, catalog: &Catalog) -> Vec<String> {
    let mut notes = Vec::new();
    if call.request.field(FieldId::XCaSignature).unwrap_or_default().is_empty() {
        notes.push("there is no X-Ca-Signature".to_owned());
    }
    if let Some(timestamp) = call.request.field(FieldId::XCaTimestamp)
        && check_timestamp(call, catalog).is_err()
    {
        let ms = milliseconds(timestamp);
        let in_seconds = ms.is_some_and(|s| s.saturating_mul(1000).abs_diff(call.now_ms) < 10 * YEAR_MS);
        notes.push(match ms {
            None => "X-Ca-Timestamp is not a number of milliseconds".to_owned(),
            Some(_) if in_seconds => "X-Ca-Timestamp is in seconds; it must be in milliseconds".to_owned(),
            Some(ms) => format!("X-Ca-Timestamp is {} s away from the gateway's clock", ms.abs_diff(call.now_ms) / 1000),
        });
    }
    if let Err(Refusal { detail: crate::gate::error::Detail::Text(reason), .. }) = content_md5::check(call) {
        notes.push(format!("Content-MD5: {reason}"));
    }
    notes
}

const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "app                  {} (X-Ca-Key {})", self.app, self.app_key)?;
        writeln!(f, "signature method     {}", self.method.as_str())?;
        writeln!(f, "signature given      {}", self.given.escape_debug())?;
        writeln!(f, "signature expected   {}", self.expected)?;
        writeln!(f, "server's string to sign:")?;
        for line in String::from_utf8_lossy(&self.string_to_sign).split('\n') {
            writeln!(f, "  | {}", line.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'"))?;
        }
        writeln!(f)?;
        match &self.finding {
            Finding::Good => writeln!(f, "The signature is good.")?,
            Finding::Tolerance { tolerances, allowed } => {
                let accepted = if *allowed { "accepted" } else { "refused: [security] tolerances does not list it" };
                writeln!(f, "The signature is good for a variant of the rule ({tolerances:?}), which is {accepted}.")?;
            }
            Finding::Mistakes(mistakes) => {
                writeln!(f, "The signature does not match, and this is why:")?;
                for mistake in mistakes {
                    writeln!(f, "  - {mistake}")?;
                }
            }
            Finding::Unknown => writeln!(
                f,
                "The signature does not match, and no known mistake accounts for it. Compare the string above with the one that \
                 the client signed; if they are equal, the client's app secret is another."
            )?,
        }
        for note in &self.notes {
            writeln!(f, "Beside the signature: {note}.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
