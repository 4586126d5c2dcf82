//! The query of the backend request: as received, less the AppCode.

use crate::gate::route::decoded;
use crate::http::serialise::HeadWriter;

/// The name of the parameter that carries an AppCode; any case of it, which is more than the product reads.
const APP_CODE: &[u8] = b"appcode";

/// Writes `?` and the query. `without_app_code`: less every parameter that may carry an AppCode, and less the `?` when
/// nothing else is left.
pub fn write_query(query: Option<&[u8]>, without_app_code: bool, writer: &mut HeadWriter<'_>) {
    let Some(query) = query else { return };
    if !without_app_code || !query.split(|&byte| byte == b'&').any(is_app_code) {
        writer.bytes(b"?");
        return writer.bytes(query);
    }
    let mut before: &[u8] = b"?";
    for parameter in query.split(|&byte| byte == b'&').filter(|parameter| !is_app_code(parameter)) {
        writer.bytes(before);
        writer.bytes(parameter);
        before = b"&";
    }
}

/// By its decoded name: `%41ppCode` is `AppCode` to whoever reads it.
fn is_app_code(parameter: &[u8]) -> bool {
    let name = memchr::memchr(b'=', parameter).map_or(parameter, |end| &parameter[..end]);
    name.len() >= APP_CODE.len() && decoded(name).map(|byte| byte.to_ascii_lowercase()).eq(APP_CODE.iter().copied())
}
