//! nginx as a peer: a plain proxy, or with Lua that checks who calls and counts, as people do today.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::gateway;

const CONF: &str = include_str!("../../peers/nginx.conf");
const LUA: &str = include_str!("../../peers/gateway.lua");
/// Where Debian's modules are, and the libraries of Lua.
const MODULES: &str = "usr/lib/nginx/modules";
const LIBRARIES: &str = "usr/share/lua/5.1";
/// Names where Debian's packages are unpacked, if that is not the root.
const DEBIAN: &str = "LOADTEST_DEBIAN_ROOT";

/// Whether nginx has Lua here.
pub fn has_lua() -> bool {
    debian().join(MODULES).join("ngx_http_lua_module.so").is_file() && debian().join(LIBRARIES).join("resty/core.lua").is_file()
}

/// Writes its files to `directory`, as far as `text` does not know better, and gives the first of them back.
pub fn write(directory: &Path, lua: bool, text: impl Fn(&str) -> String) -> Result<PathBuf> {
    let app = gateway::app();
    let fill = |template: &str, with: &[(&str, &str)]| {
        with.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
    };
    let (mut modules, mut http, mut locations) = (String::new(), String::new(), String::new());
    if lua {
        for module in ["ndk_http_module", "ngx_http_lua_module"] {
            modules += &format!("load_module {}/{module}.so;\n", debian().join(MODULES).display());
        }
        let path = format!("{}/?.lua;{}/?.lua;;", directory.display(), debian().join(LIBRARIES).display());
        http = format!(
            "lua_package_path {path:?}; lua_shared_dict counters 1m; init_by_lua_block {{ gateway = require \"gateway\" }}"
        );
        for (prefix, call) in [
            ("signature", "gateway.signature()"),
            ("limited", "gateway.signature()"),
            ("throttled", "gateway.signature(0)"),
            ("app-code", "gateway.app_code()"),
        ] {
            locations += &format!("location /{prefix}/ {{ access_by_lua_block {{ {call} }} proxy_pass http://backend; }}\n    ");
        }
        let of_app = [("app-key", &*app.key), ("app-secret", &app.secret), ("app-code", &app.code)];
        fs::write(directory.join("gateway.lua"), fill(LUA, &of_app))?;
    }
    let file = directory.join("nginx.conf");
    fs::write(&file, text(&fill(CONF, &[("modules", &modules), ("lua", &http), ("locations", &locations)])))?;
    Ok(file)
}

fn debian() -> PathBuf {
    std::env::var_os(DEBIAN).map_or_else(|| PathBuf::from("/"), PathBuf::from)
}
