//! A request by arguments, as curl takes them: `-X`, `-H`, `-d`.

use clap::Args;

use super::Failure;

#[derive(Args)]
pub struct RequestArguments {
    /// The method; otherwise GET, or POST with --data, or the first that the API takes
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<String>,
    /// A header of the request
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The body; a form unless a Content-Type says otherwise
    #[arg(short, long, value_name = "BODY")]
    pub data: Option<String>,
}

impl RequestArguments {
    /// What is given, or what the data suggest.
    pub fn method(&self) -> String {
        self.method_or(if self.data.is_some() { "POST" } else { "GET" })
    }

    pub fn method_or(&self, default: &str) -> String {
        self.method.as_deref().unwrap_or(default).to_ascii_uppercase()
    }

    /// The headers that are given, names and values apart.
    pub fn headers(&self) -> Result<Vec<(String, String)>, Failure> {
        let parse = |header: &String| {
            let (name, value) =
                header.split_once(':').ok_or_else(|| Failure::new(format!("--header {header}: no colon in it")))?;
            if header.contains(|c: char| c.is_ascii_control() && c != '\t') {
                return Err(Failure::new(format!("--header {}: a control character in it", header.escape_debug())));
            }
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        };
        self.headers.iter().map(parse).collect()
    }

    pub fn body(&self) -> &[u8] {
        self.data.as_deref().unwrap_or_default().as_bytes()
    }
}

/// `Accept` and the type of a body are named, since they are signed and an HTTP library would add its own.
pub fn add_content_headers(headers: &mut Vec<(String, String)>, has_body: bool) {
    let form = has_body.then_some("application/x-www-form-urlencoded; charset=UTF-8");
    for (name, default) in [("Accept", Some("*/*")), ("Content-Type", form)] {
        if !has(headers, name) {
            headers.extend(default.map(|value| (name.to_owned(), value.to_owned())));
        }
    }
}

pub fn has(headers: &[(String, String)], name: &str) -> bool {
    headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// The parts of a URL, or of a path and query. A fragment is not sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Url<'a> {
    pub https: bool,
    /// Host and port; `None`: there is only a path.
    pub authority: Option<&'a str>,
    pub path: &'a str,
    pub query: Option<&'a str>,
}

impl<'a> Url<'a> {
    pub fn parse(target: &'a str) -> Self {
        let target = target.split('#').next().unwrap_or_default();
        let (scheme, authority, rest) = match target.split_once("://") {
            Some((scheme, rest)) if !target.starts_with('/') => {
                let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                (scheme, Some(authority), rest)
            }
            _ => ("", None, target),
        };
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let path = if path.is_empty() { "/" } else { path };
        Self { https: scheme.eq_ignore_ascii_case("https"), authority, path, query }
    }

    /// As a request line has it.
    pub fn request_target(&self) -> String {
        match self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn path_and_query_of_what_is_called() {
        for (target, authority, path, query) in [
            ("/a?b#c", None, "/a", Some("b")),
            ("http://h:80/a?b?c", Some("h:80"), "/a", Some("b?c")),
            ("HTTPS://h", Some("h"), "/", None),
            ("http://h?b", Some("h"), "/", Some("b")),
            ("/a?u=http://h/", None, "/a", Some("u=http://h/")),
        ] {
            let https = target.starts_with("HTTPS");
            assert_eq!(Url::parse(target), Url { https, authority, path, query }, "{target}");
        }
        assert_eq!(Url::parse("http://h?b#c").request_target(), "/?b");
    }
}
