//! `lockgate app`

use std::io::Write;
use std::path::Path;

use clap::{Args, Subcommand};

use super::{Failure, draft};
use crate::catalog;
use crate::document::Layout;
use crate::publish::atomic::Access;

#[derive(Subcommand)]
pub enum App {
    /// Write an app, with a new app key, secret and AppCode
    Create(Create),
    /// List the apps, and what they may call
    List,
}

#[derive(Args)]
pub struct Create {
    name: String,
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Who answers for the app
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
}

impl App {
    pub fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            App::Create(create) => create.run(config, out),
            App::List => list(config, out),
        }
    }
}

impl Create {
    fn run(self, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        draft::check_name("an app", &self.name)?;
        let layout = Layout::new(config);
        let path = layout.app(&self.name);
        let (key, secret, code) = (app_key()?, secret()?, secret()?);
        let mut text = format!("name = {}\n", draft::quoted(&self.name));
        text.push_str(&draft::optional("description", &self.description));
        text.push_str(&draft::optional("owner", &self.owner));
        text.push_str(&format!("app_key = \"{key}\"\napp_secret = \"{secret}\"\napp_code = \"{code}\"\n"));
        draft::create(&layout, &path, &text, Access::Owner)?;
        writeln!(out, "wrote {} (readable by its owner alone)", path.display())?;
        writeln!(out, "app key     {key}\napp secret  {secret}\nAppCode     {code}")?;
        writeln!(out, "These are not printed again. Next: lockgate authorize {} GROUP/API --stage RELEASE", self.name)?;
        Ok(())
    }
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new(format!("the system's random source: {error}")))?;
    Ok(bytes)
}

/// Nine digits, as the product's app keys have; whether it is taken is for the check to say.
fn app_key() -> Result<String, Failure> {
    Ok((100_000_000 + u64::from_le_bytes(random()?) % 900_000_000).to_string())
}

/// 32 hexadecimal digits: 128 bits.
fn secret() -> Result<String, Failure> {
    Ok(random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn list(config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let catalog = catalog::load(config)?;
    for app in catalog.apps.iter() {
        let keys: Vec<&str> = app.keys.iter().map(|key| &*key.key).collect();
        writeln!(out, "{}  app key {}  AppCodes {}", app.name, keys.join(" "), app.app_codes.len())?;
        for authorization in &app.authorizations {
            let stage = catalog.stages.get(authorization.stage.index()).map_or("", String::as_str);
            let time = authorization.expires_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms as i64).ok());
            let expires = time.map(|time| format!("  until {time}")).unwrap_or_default();
            writeln!(out, "  {}  {stage}{expires}", catalog.names.name(authorization.api))?;
        }
    }
    Ok(())
}
