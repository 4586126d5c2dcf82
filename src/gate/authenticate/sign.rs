//! The client's side: the headers that make a request a signed one, by the same rule that checks them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use super::charset::is_form;
use super::parameters::Parameters;
use super::signature::{Method, Signer};
use super::signed_headers::{SignedHeaders, is_excluded};
use super::string_to_sign::{Message, StringToSign};
use super::variant::Variant;
use crate::gate::Refusal;

/// A request to be signed, as it will be sent.
pub struct Unsigned<'a> {
    /// Upper case.
    pub method: &'a str,
    /// Percent-encoded, without the query.
    pub path: &'a str,
    pub query: Option<&'a str>,
    /// What the client sends anyway. All of them are signed, but those that a client's HTTP library writes itself.
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
}

/// Who signs, and when.
pub struct Signing<'a> {
    pub app_key: &'a str,
    pub app_secret: &'a str,
    pub method: Method,
    /// Unix time in milliseconds. The product asks for neither time nor nonce, but recommends both.
    pub timestamp_ms: Option<u64>,
    pub nonce: Option<&'a str>,
}

/// Header fields that belong to the connection or its library: signing them would break what may change them.
const NOT_SIGNED: [&str; 8] =
    ["connection", "content-length", "cookie", "expect", "host", "te", "transfer-encoding", "user-agent"];

/// The headers to send beside those of the request, in the order in which they read best.
///
/// Refused is what the gateway would refuse before it looks at a signature: a malformed path, query or form.
pub fn sign(request: &Unsigned<'_>, signing: &Signing<'_>) -> Result<Vec<(String, String)>, Refusal> {
    let own =
        |name: &str| request.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    let content_type = own("Content-Type").unwrap_or_default();
    let mut added = Vec::new();
    let mut add = |name: &str, value: Option<&str>| {
        // A header that the request brings itself stands.
        added.extend(value.filter(|_| own(name).is_none()).map(|value| (name.to_owned(), value.to_owned())));
    };
    add("X-Ca-Key", Some(signing.app_key));
    add("X-Ca-Timestamp", signing.timestamp_ms.map(|ms| ms.to_string()).as_deref());
    add("X-Ca-Nonce", signing.nonce);
    add("X-Ca-Signature-Method", Some(signing.method.as_str()));

    let computed_md5 = match own("Content-MD5") {
        None if !request.body.is_empty() && !is_form(content_type.as_bytes()) => Some(STANDARD.encode(Md5::digest(request.body))),
        _ => None,
    };
    let content_md5 = computed_md5.as_deref().or(own("Content-MD5")).unwrap_or_default();
    let signed = added.iter().chain(request.headers).map(|(name, value)| (name.as_str(), value.as_str()));
    let signed =
        signed.filter(|(name, _)| !is_excluded(name.as_bytes()) && !NOT_SIGNED.contains(&name.to_ascii_lowercase().as_str()));
    let mut buffer = Vec::new();
    let headers = SignedHeaders::of_client(signed, &mut buffer);

    let message = Message {
        method: request.method.as_bytes(),
        fields: [own("Accept").unwrap_or_default(), content_md5, content_type, own("Date").unwrap_or_default()]
            .map(str::as_bytes),
        path: request.path.as_bytes(),
        query: request.query.map(str::as_bytes),
        body: Some(request.body),
    };
    let mut parameters = Parameters::default();
    let mut string = StringToSign::new(message, &headers, &buffer, &mut parameters)?;
    let signer = Signer::with_secret(signing.method, signing.app_secret.as_bytes());
    let signature = signer.sign(&mut string, Variant::CANONICAL).encode();

    let names: Vec<_> = headers.names(&buffer).map(String::from_utf8_lossy).collect();
    added.push(("X-Ca-Signature-Headers".to_owned(), names.join(",")));
    added.push(("X-Ca-Signature".to_owned(), signature));
    added.extend(computed_md5.map(|md5| ("Content-MD5".to_owned(), md5)));
    Ok(added)
}
