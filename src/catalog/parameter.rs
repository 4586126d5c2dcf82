//! Parameters of a call that rules name: where each is found (the product's locations, `Header:X-Level`, `XFF:-1`).

/// A parameter by the name that conditions and rules know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub location: Location,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Method,
    /// As sent, without the query.
    Path,
    /// Lower case.
    Header(String),
    Query(String),
    Form(String),
    /// A parameter of the API's path.
    PathParameter(String),
    System(System),
    /// An address of `X-Forwarded-For`: from the left, beginning with 0; negative from the right.
    ForwardedFor(i32),
}

/// What the gateway knows of a call by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    ClientIp,
    Domain,
    HttpSchema,
    AppId,
    AppKey,
    ApiName,
    Stage,
    ClientUa,
}

const SYSTEM: &[(&str, System)] = &[
    ("CaClientIp", System::ClientIp),
    ("CaDomain", System::Domain),
    ("CaHttpSchema", System::HttpSchema),
    ("CaAppId", System::AppId),
    ("CaAppKey", System::AppKey),
    ("CaApiName", System::ApiName),
    ("CaStage", System::Stage),
    ("CaClientUa", System::ClientUa),
];

/// What may stand before the colon.
const LOCATIONS: &str = "`Method`, `Path`, `Header:NAME`, `Query:NAME`, `Form:NAME`, `Parameter:NAME` (of the API's path), `System:NAME`, `XFF:INDEX`";

impl Location {
    /// The error says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (location, name) = match text.split_once(':') {
            Some((location, name)) => (location, Some(name).filter(|name| !name.is_empty())),
            None => (text, None),
        };
        let named = |what: fn(String) -> Self| match name {
            Some(name) => Ok(what(name.to_owned())),
            None => Err(format!("write `{location}:NAME`")),
        };
        match (location.to_ascii_lowercase().as_str(), name) {
            ("method", None) => Ok(Self::Method),
            ("path", None) => Ok(Self::Path),
            ("header", Some(name)) => Ok(Self::Header(name.to_ascii_lowercase())),
            ("header", None) => named(Self::Header),
            ("query", _) => named(Self::Query),
            ("form", _) => named(Self::Form),
            ("path" | "parameter", _) => named(Self::PathParameter),
            ("system", name) => system(name.unwrap_or_default()),
            ("xff", name) => match name.unwrap_or_default().parse() {
                Ok(index) => Ok(Self::ForwardedFor(index)),
                Err(_) => Err("write `XFF:INDEX`: 0 is the first address, -1 the last".to_owned()),
            },
            _ => Err(format!("allowed: {LOCATIONS}")),
        }
    }
}

fn system(name: &str) -> Result<Location, String> {
    let known = SYSTEM.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let all = || SYSTEM.iter().map(|(name, _)| format!("`System:{name}`")).collect::<Vec<_>>().join(", ");
    known.map(|&(_, system)| Location::System(system)).ok_or_else(|| format!("allowed: {}", all()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_as_the_product_writes_them() {
        for (text, location) in [
            ("Method", Location::Method),
            ("Path", Location::Path),
            ("Header:X-Level", Location::Header("x-level".into())),
            ("Query:userId", Location::Query("userId".into())),
            ("path:userId", Location::PathParameter("userId".into())),
            ("Parameter:userId", Location::PathParameter("userId".into())),
            ("System:CaClientIp", Location::System(System::ClientIp)),
            ("XFF:-1", Location::ForwardedFor(-1)),
        ] {
            assert_eq!(Location::parse(text), Ok(location), "{text}");
        }
        for text in ["", "Cookie:a", "Query", "Query:", "System:CaMoon", "XFF:last", "Token:sub", "Method:a"] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }
}
