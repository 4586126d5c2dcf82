//! AppCode, the product's "simple authentication" (document 115437): a code in `Authorization` or in the query.

use super::Credential;
use super::parameters::Parameters;
use crate::catalog::AppCodePlace;
use crate::gate::Call;
use crate::http::field::FieldId;

/// The query parameters that may carry an AppCode.
const QUERY_NAMES: [&[u8]; 5] = [b"AppCode", b"appcode", b"appCode", b"APPCODE", b"APPCode"];

/// The AppCode of a call, where the API looks for one; the header goes before the query.
pub(super) fn find<'s>(
    call: &'s Call<'_>,
    place: AppCodePlace,
    parameters: &'s mut Parameters,
) -> Option<(&'s [u8], Credential)> {
    if place == AppCodePlace::Off {
        return None;
    }
    if let Some(code) = call.request.field(FieldId::Authorization).and_then(of_header) {
        return Some((code, Credential::AppCodeInHeader));
    }
    match place {
        AppCodePlace::HeaderQuery => {
            let code = parameters.first_of(call.target.query?, &QUERY_NAMES)?;
            Some((code, Credential::AppCodeInQuery))
        }
        _ => None,
    }
}

/// `APPCODE <code>`: the scheme in any letter case (RFC 9110, section 11.1), any number of blanks.
fn of_header(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let (scheme, code) = value.split_at_checked("APPCODE".len())?;
    let blank = code.first().is_none_or(|byte| matches!(byte, b' ' | b'\t'));
    (scheme.eq_ignore_ascii_case(b"APPCODE") && blank).then_some(code.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::of_header;

    #[test]
    fn scheme_and_blanks() {
        for value in ["APPCODE abc", "appcode abc", "AppCode   abc ", "APPCODE\tabc"] {
            assert_eq!(of_header(value.as_bytes()), Some(&b"abc"[..]), "{value}");
        }
        assert_eq!(of_header(b"APPCODE"), Some(&b""[..]));
        for other in ["", "APPCOD", "APPCODEabc", "Bearer abc", "Basic YTpi"] {
            assert_eq!(of_header(other.as_bytes()), None, "{other}");
        }
    }
}
