//! Documents: the loader reports or accepts, and never panics; nor does what shows its reports. A first line
//! `# KIND` says which kind of document the text is.

use std::path::Path;

use lockgate::catalog::load_layout;
use lockgate::document::Layout;

use super::Judgement;

/// Where a document of each kind lies.
pub const PLACES: &[(&str, &str)] = &[
    ("gateway", "gateway.toml"),
    ("vpc-access", "vpc-access/v.toml"),
    ("group", "groups/g/group.toml"),
    ("api", "groups/g/apis/a.toml"),
    ("app", "apps/app.toml"),
    ("manifest", "published/manifest.toml"),
    ("version", "published/RELEASE/g/a/20260101000000000.toml"),
];

/// The others, so that references have something to find.
const OTHERS: &[(&str, &str)] = &[
    ("gateway.toml", "[instance]\nname = \"fuzz\"\n[[listener]]\naddress = \"127.0.0.1:8080\"\nprotocol = \"http\"\n"),
    ("vpc-access/v.toml", "name = \"v\"\nvpc_id = \"vpc\"\nport = 80\n[[instance]]\nid = \"i\"\naddress = \"127.0.0.1\"\n"),
    ("groups/g/group.toml", "name = \"g\"\ndomains = [\"*\"]\n"),
];

pub fn judge(input: &[u8]) -> Judgement {
    let Ok(text) = std::str::from_utf8(input) else { return Ok("not UTF-8".into()) };
    let kind = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default();
    let (kind, place) = PLACES.iter().find(|(name, _)| *name == kind).unwrap_or(&PLACES[0]);
    // Nothing is written: the directory does not exist.
    let root = Path::new("no-such-directory");
    let mut layout = Layout::new(root);
    for (other, text) in OTHERS {
        layout = layout.with(root.join(other), (*text).to_owned());
    }
    match load_layout(layout.with(root.join(place), text.to_owned())) {
        Ok(_) => Ok(format!("{kind}: good")),
        Err(report) => {
            let shown = report.render(false);
            report.render(true);
            if report.is_empty() || shown.is_empty() {
                return Err("refused without a word".into());
            }
            let what = shown.lines().next().unwrap_or_default();
            Ok(format!("{kind}: {}", what.split('`').step_by(2).collect::<Vec<_>>().join("_")))
        }
    }
}
