//! Requests that real clients sent, and mutations of them (`tests/vectors`): the judge of the canonical rule.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::*;
use crate::catalog::{SignatureMethods, Tolerance};

struct Row {
    json: Value,
    request: Request,
    body: Vec<u8>,
}

fn rows(text: &str) -> Vec<Row> {
    text.lines().map(|line| Row::read(serde_json::from_str(line).unwrap())).collect()
}

/// JSON text of the vectors, where each character is one byte.
fn latin1(value: &Value) -> Vec<u8> {
    value.as_str().unwrap().chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

impl Row {
    fn read(json: Value) -> Self {
        let body = STANDARD.decode(json["body_b64"].as_str().unwrap()).unwrap();
        let mut request = Request::new(json["method"].as_str().unwrap(), "");
        request.target = latin1(&json["target"]);
        for header in json["headers"].as_array().unwrap() {
            request.headers.push((latin1(&header[0]), latin1(&header[1])));
        }
        let framed = |(name, _): &(Vec<u8>, Vec<u8>)| {
            [&b"content-length"[..], b"transfer-encoding"].iter().any(|framing| name.eq_ignore_ascii_case(framing))
        };
        if !body.is_empty() && !request.headers.iter().any(framed) {
            request = request.header("Content-Length", body.len().to_string());
        }
        let timestamp = if json["clock"] == "captured_ms" { &json["captured_ms"] } else { &json["timestamp_ms"] };
        request.now_ms = timestamp.as_u64().unwrap_or(NOW_MS);
        Self { json, request, body }
    }

    fn id(&self) -> &str {
        self.json["id"].as_str().unwrap()
    }

    fn gate(&self) -> Gate {
        let mut gate = Gate::new();
        if self.json["api_config"]["allowSignatureMethod"] == "HmacSHA256" {
            gate.allow(SignatureMethods { hmac_sha256: true, hmac_sha1: false });
        }
        gate
    }

    /// Judged as the proxy does it: the form is read when asked for, and the MD5 of the body compared at its end.
    fn judge(&self, gate: &mut Gate) -> Result<Outcome, Refusal> {
        let mut request = self.request.clone();
        let mut outcome = gate.judge(&request)?;
        if outcome == Outcome::NeedForm {
            request = request.form(self.body.clone());
            outcome = gate.judge(&request)?;
        }
        match outcome {
            Outcome::App { body_md5: Some(md5), .. } if <md5::Md5 as md5::Digest>::digest(&self.body)[..] != md5 => {
                Err(Refusal::new(ErrorCode::I400I5))
            }
            other => Ok(other),
        }
    }

    fn expect(&self, judged: Result<Outcome, Refusal>, gate: &Gate) {
        let id = self.id();
        if self.json["expect"] != "invalid" {
            let Ok(Outcome::App { app, .. }) = judged else { panic!("{id}: {judged:?}") };
            if let Some(key) = self.json["app_key"].as_str().filter(|key| !key.is_empty()) {
                assert_eq!(*gate.catalog.apps.get(app).unwrap().keys[0].key, *key, "{id}");
            }
            return;
        }
        let Err(refusal) = judged else { panic!("{id}: passed") };
        let error = &self.json["error"];
        let accepted = self.json["accept_codes"].as_array().cloned().unwrap_or_else(|| vec![error["code"].clone()]);
        assert!(accepted.contains(&refusal.code.as_str().into()), "{id}: {refusal:?}");
        if error["code"] == refusal.code.as_str() {
            assert_eq!(error["status"], refusal.code.status(), "{id}");
            let prefix = error["message_prefix"].as_str().unwrap_or_default();
            assert!(message(&refusal).starts_with(prefix), "{id}: {}", message(&refusal));
        }
        if refusal.code == ErrorCode::A403IS {
            let string = match self.json["server_string_to_sign_b64"].as_str() {
                Some(encoded) => STANDARD.decode(encoded).unwrap(),
                None => self.json["server_string_to_sign"].as_str().unwrap().into(),
            };
            let shown: Vec<u8> = string.iter().map(|&byte| if byte == b'\n' { b'#' } else { byte }).collect();
            assert_eq!(refusal.detail, Detail::Owned(shown.into()), "{id}");
        }
    }

    /// The string to sign is the one that the vectors give.
    fn expect_string(&self, text: &str) {
        let mut request = self.request.clone();
        request.form = Some(self.body.clone());
        request.call(|call| {
            let mut scratch = Scratch::default();
            let mut string = StringToSign::read(call, &mut scratch.headers, &mut scratch.parameters).unwrap();
            let mut written = Vec::new();
            string.write(Variant::CANONICAL, &mut written);
            assert_eq!(String::from_utf8_lossy(&written), text, "{}", self.id());
        });
    }
}

impl Gate {
    fn allow(&mut self, allowed: SignatureMethods) {
        if let Authentication::App { methods, .. } = &mut self.rules {
            *methods = allowed;
        }
    }

    fn look_in(&mut self, place: AppCodePlace) {
        if let Authentication::App { app_code, .. } = &mut self.rules {
            *app_code = place;
        }
    }
}

#[test]
fn what_clients_sign_by_the_rule_passes() {
    for text in [include_str!("../../../../tests/vectors/valid.jsonl"), include_str!("../../../../tests/vectors/published.jsonl")]
    {
        for row in rows(text) {
            let mut gate = row.gate();
            gate.catalog.security.tolerances.clear();
            let judged = row.judge(&mut gate);
            row.expect(judged, &gate);
            row.expect_string(row.json["string_to_sign"].as_str().unwrap());
        }
    }
}

#[test]
fn what_clients_sign_otherwise_passes_where_it_is_tolerated() {
    for row in rows(include_str!("../../../../tests/vectors/compat.jsonl")) {
        let mut gate = row.gate();
        gate.catalog.security.tolerances.clear();
        assert_eq!(row.judge(&mut gate).unwrap_err().code, ErrorCode::A403IS, "{}", row.id());
        gate.catalog.security.tolerances = row.json["needs"].as_object().unwrap().iter().map(needed).collect();
        let judged = row.judge(&mut gate);
        row.expect(judged, &gate);
        row.expect_string(row.json["canonical_string_to_sign"].as_str().unwrap());
    }
}

fn needed((aspect, rule): (&String, &Value)) -> Tolerance {
    match (aspect.as_str(), rule.as_str()) {
        ("path", Some("raw")) => Tolerance::RawPath,
        ("multi", Some("comma")) => Tolerance::CommaJoined,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_code_and_the_servers_string() {
    for text in
        [include_str!("../../../../tests/vectors/invalid.jsonl"), include_str!("../../../../tests/vectors/client_defect.jsonl")]
    {
        for row in rows(text) {
            let mut gate = row.gate();
            gate.catalog.security.tolerances = variant::ALL.into();
            let judged = row.judge(&mut gate);
            row.expect(judged, &gate);
        }
    }
}

#[test]
fn sequences_keep_their_nonces() {
    let mut gate = Gate::new();
    let mut sequence = Value::Null;
    for row in rows(include_str!("../../../../tests/vectors/sequences.jsonl")) {
        if row.json["sequence"] != sequence {
            sequence = row.json["sequence"].clone();
            gate = row.gate();
        }
        gate.nonces.advance(row.request.now_ms);
        let judged = row.judge(&mut gate);
        row.expect(judged, &gate);
    }
}

#[test]
fn app_codes_pass_where_the_api_looks_for_them() {
    let places = [("DISABLE", AppCodePlace::Off), ("HEADER", AppCodePlace::Header), ("HEADER_QUERY", AppCodePlace::HeaderQuery)];
    for row in rows(include_str!("../../../../tests/vectors/appcode.jsonl")) {
        for (name, place) in places {
            let mut gate = row.gate();
            gate.look_in(place);
            let judged = row.judge(&mut gate);
            match row.json["modes_ok"].as_array() {
                Some(modes) if modes.contains(&name.into()) => row.expect(judged, &gate),
                Some(_) => assert_eq!(judged.unwrap_err().code, ErrorCode::A400MA, "{} {name}", row.id()),
                None if row.json["mode"] == name => row.expect(judged, &gate),
                None => {}
            }
        }
    }
}
