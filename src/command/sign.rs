//! `lockgate sign`

use std::io::Write;
use std::path::Path;

use clap::Args;

use super::Failure;
use super::curl_like::{RequestArguments, Url, add_content_headers};
use crate::catalog::{self, Catalog};
use crate::gate::authenticate::sign::{Signing, Unsigned, sign};
use crate::gate::authenticate::signature::Method;

/// Print the headers that make a request a signed one
#[derive(Args)]
pub struct Sign {
    /// The URL to call, or its path and query
    #[arg(value_name = "URL|PATH")]
    target: String,
    /// Sign as this app of the config directory
    #[arg(long, value_name = "NAME", required_unless_present = "app_key", conflicts_with_all = ["app_key", "app_secret"])]
    app: Option<String>,
    /// Sign with this app key, without a config directory
    #[arg(long, value_name = "KEY", requires = "app_secret")]
    app_key: Option<String>,
    #[arg(long, value_name = "SECRET", requires = "app_key")]
    app_secret: Option<String>,
    #[command(flatten)]
    request: RequestArguments,
    /// RELEASE, PRE or TEST
    #[arg(long)]
    stage: Option<String>,
    /// HmacSHA256 or HmacSHA1
    #[arg(long, value_name = "METHOD", default_value = "HmacSHA256")]
    signature_method: String,
    /// Print a curl command line instead
    #[arg(long)]
    curl: bool,
}

impl Sign {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let method = self.request.method();
        let url = Url::parse(&self.target);
        let mut headers = self.request.headers()?;
        headers.extend(self.stage.clone().map(|stage| ("X-Ca-Stage".to_owned(), stage)));
        add_content_headers(&mut headers, self.request.data.is_some());
        let signature_method = Method::named(self.signature_method.as_bytes())
            .ok_or_else(|| Failure::new("--signature-method: HmacSHA256 or HmacSHA1"))?;
        let (app_key, app_secret) = match (&self.app_key, &self.app_secret) {
            (Some(key), Some(secret)) => (key.clone(), secret.clone()),
            _ => credentials(&*catalog::load(config)?, self.app.as_deref().unwrap_or_default())?,
        };
        let body = self.request.body();
        let unsigned = Unsigned { method: &method, path: url.path, query: url.query, headers: &headers, body };
        headers.extend(sign_now(&unsigned, &app_key, &app_secret, signature_method)?);
        if self.curl {
            return self.print_curl(&method, &headers, out);
        }
        for (name, value) in headers {
            writeln!(out, "{name}: {value}")?;
        }
        Ok(())
    }

    fn print_curl(&self, method: &str, headers: &[(String, String)], out: &mut dyn Write) -> Result<(), Failure> {
        let url =
            if self.target.starts_with('/') { format!("http://127.0.0.1:8080{}", self.target) } else { self.target.clone() };
        let how = if method == "HEAD" { "--head".to_owned() } else { format!("-X {}", quoted(method)) };
        write!(out, "curl -i {how}")?;
        for (name, value) in headers {
            // `Name;` is how curl is told to send a header without a value.
            let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
            write!(out, " \\\n  -H {}", quoted(&header))?;
        }
        if let Some(data) = &self.request.data {
            write!(out, " \\\n  --data-raw {}", quoted(data))?;
        }
        writeln!(out, " \\\n  {}", quoted(&url))?;
        Ok(())
    }
}

/// Signs as of now, with a nonce of its own.
pub(super) fn sign_now(
    unsigned: &Unsigned<'_>,
    app_key: &str,
    app_secret: &str,
    method: Method,
) -> Result<Vec<(String, String)>, Failure> {
    let nonce = nonce()?;
    let signing = Signing { app_key, app_secret, method, timestamp_ms: Some(super::now_ms()?), nonce: Some(&nonce) };
    sign(unsigned, &signing).map_err(|refusal| {
        Failure::new(format!("such a request is refused with {}: {:?}", refusal.code.as_str(), refusal.detail))
    })
}

/// Key and secret of an app.
pub(super) fn credentials(catalog: &Catalog, app: &str) -> Result<(String, String), Failure> {
    let key = catalog.apps.iter().find(|known| *known.name == *app).and_then(|app| app.keys.first());
    let key = key.ok_or_else(|| Failure::new(format!("there is no app `{app}` with an app key")))?;
    Ok((key.key.to_string(), key.secret.expose().to_owned()))
}

/// A word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A random UUID (RFC 9562, version 4).
fn nonce() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new(format!("the system's random source: {error}")))?;
    let random = u128::from_be_bytes(bytes) & !(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{random:032x}");
    Ok([&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sign: Sign,
    }

    fn printed(arguments: &[&str]) -> String {
        let own = ["sign", "--app-key", "24601001", "--app-secret", "secret"];
        let line = Line::parse_from(own.iter().chain(arguments));
        let mut out = Vec::new();
        line.sign.run(Path::new("no-such-directory"), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn headers_come_one_a_line() {
        let out = printed(&["--stage", "TEST", "https://api.example.com/x?b=1#top"]);
        let names: Vec<&str> = out.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
        assert_eq!(
            names.join(" "),
            "X-Ca-Stage Accept X-Ca-Key X-Ca-Timestamp X-Ca-Nonce X-Ca-Signature-Method X-Ca-Signature-Headers X-Ca-Signature"
        );
        assert!(out.contains("X-Ca-Signature-Headers: X-Ca-Key,X-Ca-Nonce,X-Ca-Signature-Method,X-Ca-Stage,X-Ca-Timestamp\n"));
        assert!(!out.contains("secret"));
    }

    #[test]
    fn a_body_is_covered_by_its_md5_unless_it_is_a_form() {
        assert!(!printed(&["-d", "a=1", "/x"]).contains("Content-MD5"));
        assert!(
            printed(&["-d", "{}", "-H", "content-type: application/json", "/x"])
                .contains("Content-MD5: mZFLkyvTelC5g8XnyQrpOw==")
        );
    }

    #[test]
    fn curl_gets_every_header_and_quoted_words() {
        let out = printed(&["--curl", "-d", "it's", "/x?a=1&b=2"]);
        assert!(out.starts_with("curl -i -X 'POST' \\\n"));
        assert!(out.contains("-H 'Accept: */*'") && out.contains(r"--data-raw 'it'\''s'"));
        assert!(out.ends_with("'http://127.0.0.1:8080/x?a=1&b=2'\n"));
    }
}
