//! Requests as a browser would send them, with the credential of the scenario.

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::mark::{self, Mark};
use crate::signature::{Call, Nonces, SIGNED_HEADERS, Signer};

/// The fields that a browser sends with every request; they say nothing of the request.
const BROWSER: &str = include_str!("../browser.txt");
const STAGE: &str = "RELEASE";

/// How a request says which app calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    None,
    AppCode,
    Signature,
    /// By a secret that is not the app's.
    WrongSignature,
}

/// The app that calls.
#[derive(Clone, Debug)]
pub struct App {
    pub key: String,
    pub secret: String,
    pub code: String,
}

/// What one scenario sends, again and again.
pub struct Template<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub host: &'a str,
    pub credential: Credential,
    pub app: &'a App,
    pub body: &'a [u8],
    /// Each has a mark, which [`Requests::set_mark`] writes.
    pub marked: bool,
}

/// Writes the requests of one run. All but the signed fields is written once.
pub struct Requests {
    method: String,
    path: String,
    accept: &'static str,
    content_type: &'static str,
    before_signature: Vec<u8>,
    after_signature: Vec<u8>,
    signing: Option<(Signer, Nonces)>,
    marked: bool,
}

impl Requests {
    pub fn new(template: &Template) -> Result<Self> {
        let content_type = if template.body.is_empty() { "" } else { "application/json" };
        let App { key, secret, .. } = template.app;
        let signing = match template.credential {
            Credential::Signature => Some((Signer::new(key, secret)?, Nonces::new()?)),
            Credential::WrongSignature => Some((Signer::new(key, &format!("not {secret}"))?, Nonces::new()?)),
            Credential::None | Credential::AppCode => None,
        };
        let mut after_signature = b"\r\n".to_vec();
        after_signature.extend_from_slice(template.body);
        let mut before_signature = head(template, content_type).into_bytes();
        if template.marked {
            before_signature.extend_from_slice(format!("{}: {:0<2$}\r\n", mark::FIELD, "", mark::BYTES).as_bytes());
        }
        Ok(Self {
            method: template.method.to_owned(),
            path: template.path.to_owned(),
            accept: BROWSER.lines().find_map(|line| line.strip_prefix("Accept: ")).unwrap_or_default(),
            content_type,
            before_signature,
            after_signature,
            signing,
            marked: template.marked,
        })
    }

    /// Writes the next request in place of whatever `buffer` holds.
    pub fn write_next(&mut self, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(&self.before_signature);
        if let Some((signer, nonces)) = &mut self.signing {
            let nonce = nonces.draw();
            let mut digits = itoa::Buffer::new();
            let timestamp = digits.format(clock::unix_ms());
            let signature = signer.sign(&Call {
                method: self.method.as_bytes(),
                accept: self.accept.as_bytes(),
                content_type: self.content_type.as_bytes(),
                nonce: &nonce,
                stage: STAGE.as_bytes(),
                timestamp_ms: timestamp.as_bytes(),
                path: self.path.as_bytes(),
            });
            for (name, value) in [
                ("x-ca-key: ", signer.app_key().as_bytes()),
                ("x-ca-nonce: ", &nonce),
                ("x-ca-stage: ", STAGE.as_bytes()),
                ("x-ca-timestamp: ", timestamp.as_bytes()),
                ("x-ca-signature-headers: ", SIGNED_HEADERS.as_bytes()),
                ("x-ca-signature: ", &signature),
            ] {
                buffer.extend_from_slice(name.as_bytes());
                buffer.extend_from_slice(value);
                buffer.extend_from_slice(b"\r\n");
            }
        }
        buffer.extend_from_slice(&self.after_signature);
    }

    /// Puts the mark into a request that was written here.
    pub fn set_mark(&self, request: &mut [u8], mark: &Mark) {
        // It ends what does not change, before the end of its line.
        let end = self.before_signature.len() - b"\r\n".len();
        if let Some(place) = request.get_mut(end - mark::BYTES..end).filter(|_| self.marked) {
            place.copy_from_slice(mark);
        }
    }

    /// Whether every request is the same bytes but for its mark, so that writing it once is enough.
    pub fn constant(&self) -> bool {
        self.signing.is_none()
    }
}

/// The request line and every field line that does not change, without the empty line that ends a head.
fn head(template: &Template, content_type: &str) -> String {
    let Template { method, path, host, .. } = template;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    for line in BROWSER.lines() {
        head += line;
        head += "\r\n";
    }
    if !template.body.is_empty() {
        head += &format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", template.body.len());
    }
    if template.credential == Credential::AppCode {
        head += &format!("Authorization: APPCODE {}\r\n", template.app.code);
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(credential: Credential, body: &[u8]) -> (Requests, Vec<u8>) {
        let app = App { key: "24601001".into(), secret: "secret".into(), code: "code-1".into() };
        let template =
            Template { method: "POST", path: "/upload/128", host: "api.example.com", credential, app: &app, body, marked: true };
        let mut requests = Requests::new(&template).unwrap();
        let mut buffer = b"what the last request left".to_vec();
        requests.write_next(&mut buffer);
        (requests, buffer)
    }

    /// Field lines by lower-case name, and what follows the head.
    fn parsed(request: &[u8]) -> (Vec<(String, String)>, Vec<u8>) {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Request::new(&mut fields);
        let head = parsed.parse(request).unwrap().unwrap();
        assert_eq!((parsed.method, parsed.path), (Some("POST"), Some("/upload/128")));
        let fields = parsed.headers.iter();
        let fields = fields.map(|f| (f.name.to_ascii_lowercase(), String::from_utf8(f.value.to_vec()).unwrap()));
        (fields.collect(), request[head..].to_vec())
    }

    fn value<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
        fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
    }

    #[test]
    fn a_plain_request_is_a_whole_browser_like_request() {
        let (requests, bytes) = written(Credential::None, b"{}");
        let (fields, body) = parsed(&bytes);
        assert!(requests.constant());
        assert!(fields.len() >= 12);
        assert_eq!(value(&fields, "content-length"), Some("2"));
        assert_eq!(value(&fields, "authorization"), None);
        assert_eq!(value(&fields, mark::FIELD), Some("0000000000000000"));
        assert_eq!(body, b"{}");
    }

    #[test]
    fn an_app_code_is_sent_as_the_authorization_field() {
        let (fields, _) = parsed(&written(Credential::AppCode, b"").1);
        assert_eq!(value(&fields, "authorization"), Some("APPCODE code-1"));
        assert_eq!(value(&fields, "content-length"), None);
    }

    #[test]
    fn a_signed_request_carries_its_fields_and_a_fresh_nonce() {
        let (mut requests, bytes) = written(Credential::Signature, b"{}");
        assert!(!requests.constant());
        let (first, body) = parsed(&bytes);
        assert_eq!(body, b"{}");
        let mut again = Vec::new();
        requests.write_next(&mut again);
        requests.set_mark(&mut again, b"00000000000000ab");
        let (second, _) = parsed(&again);
        assert_eq!(value(&second, mark::FIELD), Some("00000000000000ab"));
        assert_ne!(value(&first, "x-ca-nonce"), value(&second, "x-ca-nonce"));
        assert_ne!(value(&first, "x-ca-signature"), value(&second, "x-ca-signature"));
        assert_eq!(value(&first, "x-ca-signature-headers"), Some(SIGNED_HEADERS));
        for name in SIGNED_HEADERS.split(',') {
            assert!(value(&first, name).is_some(), "{name}");
        }
    }
}
