//! A signing client, written from the product's documentation: it shares no code with the gateway.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;

use crate::client::Request;
use crate::wait::now_ms;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    Sha256,
    Sha1,
}

/// Signs requests for one app.
#[derive(Clone, Debug)]
pub struct Signer {
    pub key: String,
    pub secret: String,
    pub digest: Digest,
    pub timestamp_ms: Option<u64>,
}

impl Signer {
    pub fn new(key: &str, secret: &str) -> Self {
        Self { key: key.into(), secret: secret.into(), digest: Digest::Sha256, timestamp_ms: Some(now_ms()) }
    }

    pub fn sha1(mut self) -> Self {
        self.digest = Digest::Sha1;
        self
    }

    pub fn at(mut self, timestamp_ms: Option<u64>) -> Self {
        self.timestamp_ms = timestamp_ms;
        self
    }

    /// Adds key, timestamp and signature; every `X-Ca-*` field of the request is signed, a nonce among them if it has one.
    pub fn sign(&self, mut request: Request) -> Request {
        request = request.field("X-Ca-Key", &self.key);
        if let Some(timestamp) = self.timestamp_ms {
            request = request.field("X-Ca-Timestamp", timestamp.to_string());
        }
        if self.digest == Digest::Sha1 {
            request = request.field("X-Ca-Signature-Method", "HmacSHA1");
        }
        let mut names: Vec<String> =
            request.fields.iter().map(|(n, _)| n.clone()).filter(|n| n.to_ascii_lowercase().starts_with("x-ca-")).collect();
        names.sort();
        let signature = self.signature(&string_to_sign(&request, &names));
        request.field("X-Ca-Signature-Headers", names.join(",")).field("X-Ca-Signature", signature)
    }

    fn signature(&self, text: &[u8]) -> String {
        let key = self.secret.as_bytes();
        match self.digest {
            Digest::Sha256 => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
                mac.update(text);
                STANDARD.encode(mac.finalize().into_bytes())
            }
            Digest::Sha1 => {
                let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
                mac.update(text);
                STANDARD.encode(mac.finalize().into_bytes())
            }
        }
    }
}

fn string_to_sign(request: &Request, names: &[String]) -> Vec<u8> {
    let mut text = request.method.clone().into_bytes();
    for name in ["Accept", "Content-MD5", "Content-Type", "Date"] {
        text.push(b'\n');
        text.extend_from_slice(request.value(name).unwrap_or_default());
    }
    text.push(b'\n');
    for name in names {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        text.extend_from_slice(request.value(name).unwrap_or_default());
        text.push(b'\n');
    }
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    text.extend_from_slice(&decode(path, false));
    let mut pairs = parameters(query);
    let form = request.value("Content-Type").is_some_and(|t| t.starts_with(b"application/x-www-form-urlencoded"));
    if form {
        let body = String::from_utf8_lossy(&request.body);
        let fields = parameters(&body);
        pairs.retain(|(k, _)| fields.iter().all(|(f, _)| f != k));
        pairs.extend(fields);
    }
    // A stable sort keeps the first of several values in front.
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs.dedup_by(|later, first| later.0 == first.0);
    for (i, (key, value)) in pairs.iter().enumerate() {
        text.push(if i == 0 { b'?' } else { b'&' });
        text.extend_from_slice(key);
        if !value.is_empty() {
            text.push(b'=');
            text.extend_from_slice(value);
        }
    }
    text
}

fn parameters(text: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (decode(key, true), decode(value, true)))
        .collect()
}

fn decode(text: &str, plus_is_space: bool) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'%' => {
                out.push(u8::from_str_radix(&text[i + 1..i + 3], 16).expect("the test wrote a good escape"));
                i += 2;
            }
            b'+' if plus_is_space => out.push(b' '),
            other => out.push(other),
        }
        i += 1;
    }
    out
}

/// The value of `Content-MD5` for a body.
pub fn md5_base64(body: &[u8]) -> String {
    STANDARD.encode(Md5::digest(body))
}

/// A short name for a large body, to compare by.
pub fn hex_md5(body: &[u8]) -> String {
    Md5::digest(body).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request that a PHP client of the product sent (vector v119).
    #[test]
    fn a_form_is_signed_as_the_products_client_signs_it() {
        let request = Request::post(
            "/postform?q=1",
            "application/x-www-form-urlencoded; charset=UTF-8",
            "b-body2=bodyvalue+2&a-body1=%E5%80%BC%26%3D",
        )
        .field("Accept", "application/json; charset=UTF-8")
        .field("X-Ca-Nonce", "54E2232A3830CA19988BF3E294780167");
        let signer = Signer::new("24601001", "sEcReT-Alpha-0123456789abcdef").at(Some(1_795_329_297_000));
        let signed = signer.sign(request);
        assert_eq!(signed.value("X-Ca-Signature"), Some(b"pWWotHU6HhQ32jVmbktUXPOIVqfE/2CYpnUDn5Iki80=".as_slice()));
    }

    /// What a Go client signed (vector v122): a repeated key, an empty value, `Date`.
    #[test]
    fn the_first_of_repeated_values_is_signed() {
        let request = Request::get("/g/q?a=1&a=9&b=2&e=&%E7%A9%BA=%E4%B8%AD+%E6%96%87%2B")
            .field("Accept", "*/*")
            .field("Date", "Sun, 22 Nov 2026 06:34:58 GMT");
        let text = string_to_sign(&request, &[]);
        assert_eq!(
            String::from_utf8(text).as_deref(),
            Ok("GET\n*/*\n\n\nSun, 22 Nov 2026 06:34:58 GMT\n/g/q?a=1&b=2&e&空=中 文+")
        );
    }
}
