//! A set of documents of a given size: groups, their APIs, and apps that may call them. The same size is the same set.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use indicatif::ProgressBar;

/// VPC accesses that the APIs are shared among.
const VPC_ACCESSES: usize = 16;
/// Apps of a document.
const APPS_OF_A_LIST: usize = 1000;

#[derive(Args, Clone)]
pub struct Size {
    #[arg(long, default_value_t = 1000)]
    pub groups: usize,
    /// APIs of each group
    #[arg(long, default_value_t = 100)]
    pub apis: usize,
    /// Apps in all; each may call one API
    #[arg(long, default_value_t = 1_000_000)]
    pub apps: usize,
}

/// Where the set's gateway listens, and where its backends are.
pub struct Addresses {
    pub listen: String,
    pub backend_port: u16,
}

impl Size {
    /// Writes the drafts and all that is live without publishing.
    pub fn write(&self, config: &Path, addresses: &Addresses) -> Result<()> {
        let bar = super::bar("writing", (self.groups + self.apps.div_ceil(APPS_OF_A_LIST)) as u64);
        fs::create_dir_all(config)?;
        put(&config.join("gateway.toml"), &gateway(addresses))?;
        fs::create_dir_all(config.join("vpc-access"))?;
        for n in 0..VPC_ACCESSES {
            put(&config.join(format!("vpc-access/backend-{n}.toml")), &vpc_access(n, addresses.backend_port))?;
        }
        self.write_groups(config, &bar)?;
        self.write_apps(config, &bar)?;
        bar.finish_and_clear();
        Ok(())
    }

    fn write_groups(&self, config: &Path, bar: &ProgressBar) -> Result<()> {
        for group in 0..self.groups {
            let directory = config.join("groups").join(group_name(group));
            fs::create_dir_all(directory.join("apis"))?;
            put(&directory.join("group.toml"), &group_document(group))?;
            for api in 0..self.apis {
                put(&directory.join(format!("apis/{}.toml", api_name(api))), &api_document(group, api, 10_000))?;
            }
            bar.inc(1);
        }
        Ok(())
    }

    fn write_apps(&self, config: &Path, bar: &ProgressBar) -> Result<()> {
        fs::create_dir_all(config.join("app-lists"))?;
        for (list, first) in (0..self.apps).step_by(APPS_OF_A_LIST).enumerate() {
            let mut text = String::new();
            for app in first..(first + APPS_OF_A_LIST).min(self.apps) {
                let (group, api) = self.authorized(app);
                let (group, api) = (group_name(group), api_name(api));
                write!(
                    text,
                    "[[app]]\nname = \"app-{app:07}\"\napp_key = \"{}\"\napp_secret = \"{}\"\napp_code = \"{}\"\n\n\
                     [[app.authorization]]\napi = \"{group}/{api}\"\nstages = [\"RELEASE\"]\n\n",
                    app_key(app),
                    app_secret(app),
                    app_code(app),
                )?;
            }
            let path = config.join(format!("app-lists/list-{list:04}.toml"));
            put(&path, &text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            bar.inc(1);
        }
        Ok(())
    }

    /// The API that an app may call: group, and API in it.
    pub fn authorized(&self, app: usize) -> (usize, usize) {
        (app % self.groups, app / self.groups % self.apis)
    }
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

pub fn group_name(group: usize) -> String {
    format!("group-{group:04}")
}

pub fn domain(group: usize) -> String {
    format!("g{group:04}.example.com")
}

pub fn api_name(api: usize) -> String {
    format!("api-{api:04}")
}

fn app_key(app: usize) -> String {
    format!("{}", 100_000_000 + app)
}

fn app_secret(app: usize) -> String {
    digits(app as u64, 1)
}

fn app_code(app: usize) -> String {
    digits(app as u64, 2)
}

/// 32 hexadecimal digits, the same for the same numbers.
fn digits(number: u64, kind: u64) -> String {
    let mix = |seed: u64| {
        let mut word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    };
    let first = mix(number.wrapping_mul(4).wrapping_add(kind));
    format!("{first:016x}{:016x}", mix(first))
}

fn gateway(addresses: &Addresses) -> String {
    format!(
        "[instance]\nname = \"size\"\nstate_directory = \"state\"\ndefault_domain_suffix = \"debug.example.com\"\n\n\
         [[listener]]\naddress = \"{}\"\nprotocol = \"http\"\n\n[access_log]\npath = \"off\"\n",
        addresses.listen
    )
}

fn vpc_access(n: usize, port: u16) -> String {
    format!(
        "name = \"backend-{n}\"\nvpc_id = \"vpc-size\"\nport = {port}\n\n[[instance]]\nid = \"i-{n}\"\naddress = \"127.0.0.1\"\n"
    )
}

fn group_document(group: usize) -> String {
    format!("name = \"{}\"\nbase_path = \"/\"\ndomains = [\"{}\"]\n", group_name(group), domain(group))
}

/// `timeout_ms` is what a new publication changes.
pub fn api_document(group: usize, api: usize, timeout_ms: usize) -> String {
    let authentication = match api % 4 {
        0 => "type = \"none\"\n",
        _ => "type = \"app\"\napp_code = \"header\"\nsignature_methods = [\"HMAC_SHA256\"]\n",
    };
    format!(
        "name = \"{}\"\n\n[authentication]\n{authentication}\n\
         [request]\nprotocols = [\"http\", \"https\"]\npath = \"/v1/resource-{}/[id]/action-{api}\"\nmethod = \"GET\"\n\
         mode = \"pass-through\"\n\n\
         [backend]\ntype = \"vpc\"\nvpc_access = \"backend-{}\"\npath = \"/backend/[id]/{api}\"\nmethod = \"GET\"\ntimeout_ms = {timeout_ms}\n",
        api_name(api),
        api % 10,
        (group + api) % VPC_ACCESSES,
    )
}
