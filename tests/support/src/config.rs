//! A configuration directory of a test's own.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::api::{Api, App};
use crate::faults::{Fault, fault_at, tracing};
use crate::gateway::{Gateway, lockgate, lockgate_through, succeeds};
use crate::ports::{Port, reserve};
use crate::tools::faketime;
use crate::wait::utc;

/// Writes documents as they are added, and publishes with the real command.
pub struct Config {
    directory: TempDir,
    port: Port,
    https: Option<Port>,
    admin: Option<Port>,
    instance: String,
    listener: String,
    tables: String,
    environment: Vec<(String, String)>,
    launcher: Vec<OsString>,
}

impl Config {
    /// An instance with two workers and nothing else.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self {
            directory,
            port: reserve(),
            https: None,
            admin: None,
            instance: "workers = 2\n".into(),
            listener: String::new(),
            tables: String::new(),
            environment: Vec::new(),
            launcher: Vec::new(),
        }
    }

    /// One VPC access `backend` at `address`, and one group `g` that answers on every domain.
    pub fn with_backend(address: SocketAddr) -> Self {
        Self::new().vpc_access("backend", address, "").group("g", &["*"], "")
    }

    /// The API `g/all` on `ANY /*` without authentication, published to RELEASE: most tests of the wire need no more.
    pub fn open(address: SocketAddr) -> Self {
        Self::with_backend(address).published(&Api::open("all", "/*"))
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn address(&self) -> SocketAddr {
        self.port.address
    }

    /// The lines of the table `[instance]`, in place of `workers = 2`.
    pub fn instance(mut self, lines: &str) -> Self {
        self.instance = format!("{lines}\n");
        self
    }

    /// A table of `gateway.toml`.
    pub fn table(mut self, name: &str, lines: &str) -> Self {
        self.tables.push_str(&format!("\n[{name}]\n{lines}\n"));
        self
    }

    /// The listener speaks HTTP/2, too, to clients that know.
    pub fn http2(mut self) -> Self {
        self.listener.push_str("http2 = true\n");
        self
    }

    /// A second listener, for HTTPS: [`Gateway::https`].
    pub fn https(mut self) -> Self {
        let port = reserve();
        let lines = format!("address = \"{}\"\nprotocol = \"https\"", port.address);
        self.https = Some(port);
        self.table("[listener]", &lines)
    }

    /// With an operator's listener, which [`Gateway::admin`] asks.
    pub fn admin(mut self) -> Self {
        let port = reserve();
        self = self.table("admin", &format!("address = \"{}\"", port.address));
        self.admin = Some(port);
        self
    }

    pub fn environment(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Has a fault happen to the gateway, as [`with_fault`](crate::with_fault) does to a command.
    pub fn fault(self, below: &Path, at: usize, fault: Fault) -> Self {
        fault_at(below, at, fault).into_iter().fold(self, |config, (name, value)| config.environment(name, value))
    }

    /// Has the calls of the gateway on files below a directory told to a file, for [`read_trace`](crate::read_trace).
    pub fn traced(self, below: &Path, trace: &Path) -> Self {
        tracing(below, trace).into_iter().fold(self, |config, (name, value)| config.environment(name, value))
    }

    /// Starts the gateway through a program that is given it and its arguments.
    pub fn through(mut self, program: &Command) -> Self {
        self.launcher = std::iter::once(program.get_program()).chain(program.get_args()).map(Into::into).collect();
        self
    }

    /// The gateway's wall clock begins at this Unix time; its timers keep to the real one.
    pub fn at(self, unix_s: u64) -> Self {
        self.clock(format!("@{}", utc(unix_s)))
    }

    /// The gateway's wall clock stands still at this Unix time.
    pub fn standing_at(self, unix_s: u64) -> Self {
        self.clock(utc(unix_s))
    }

    fn clock(self, faketime_says: String) -> Self {
        self.environment("LD_PRELOAD", faketime().to_string_lossy())
            .environment("FAKETIME", faketime_says)
            .environment("TZ", "UTC")
            .environment("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .environment("DONT_FAKE_MONOTONIC", "1")
    }

    /// The kernel makes huge pages of the gateway's memory in its own time, and counts them whole where a part is in use: where
    /// memory is measured, there are none.
    pub fn without_huge_pages(self) -> Self {
        self.environment("MIMALLOC_ALLOW_THP", "0")
    }

    /// Writes the access log to a file, which [`Gateway::access_log`] reads.
    pub fn access_log(self) -> Self {
        self.table("access_log", "path = \"access.log\"")
    }

    pub fn write(&self, place: &str, text: &str) -> PathBuf {
        let file = self.path().join(place);
        fs::create_dir_all(file.parent().expect("a place inside the directory")).expect("the directory can be made");
        fs::write(&file, text).expect("the document can be written");
        file
    }

    /// `extra`: further lines, before the instance.
    pub fn vpc_access(self, name: &str, address: SocketAddr, extra: &str) -> Self {
        self.vpc_access_of(name, &[address], extra)
    }

    pub fn vpc_access_of(self, name: &str, addresses: &[SocketAddr], extra: &str) -> Self {
        self.weighted_vpc_access(name, &addresses.iter().map(|address| (*address, 100)).collect::<Vec<_>>(), extra)
    }

    /// Instances with their weights.
    pub fn weighted_vpc_access(self, name: &str, instances: &[(SocketAddr, u32)], extra: &str) -> Self {
        let port = instances.first().map_or(80, |(address, _)| address.port());
        let mut text = format!("name = {name:?}\nvpc_id = \"vpc-test\"\nport = {port}\n{extra}\n");
        for (i, (address, weight)) in instances.iter().enumerate() {
            let (ip, port) = (address.ip(), address.port());
            text.push_str(&format!("\n[[instance]]\nid = \"i-{i}\"\naddress = \"{ip}\"\nport = {port}\nweight = {weight}\n"));
        }
        self.write(&format!("vpc-access/{name}.toml"), &text);
        self
    }

    /// `extra`: further lines, `base_path` among them.
    pub fn group(self, name: &str, domains: &[&str], extra: &str) -> Self {
        let text = format!("name = {name:?}\ndomains = {domains:?}\n{extra}\n");
        self.write(&format!("groups/{name}/group.toml"), &text);
        self
    }

    /// A draft in group `g`, not published.
    pub fn api(self, api: &Api) -> Self {
        self.api_of("g", api)
    }

    pub fn api_of(self, group: &str, api: &Api) -> Self {
        self.write(&format!("groups/{group}/apis/{}.toml", api.name), &api.document());
        self
    }

    /// A draft in group `g`, published to RELEASE.
    pub fn published(self, api: &Api) -> Self {
        self.published_to("g", api, &["RELEASE"])
    }

    pub fn published_to(self, group: &str, api: &Api, stages: &[&str]) -> Self {
        let config = self.api_of(group, api);
        config.write_gateway();
        for stage in stages {
            config.publish(&format!("{group}/{}", api.name), stage);
        }
        config
    }

    /// Publishes a draft with the real command.
    #[track_caller]
    pub fn publish(&self, api: &str, stage: &str) {
        let mut command = lockgate(self.path());
        succeeds(command.args(["publish", api, "--stage", stage, "--remarks", "for a test"]));
    }

    pub fn app(self, app: &App) -> Self {
        self.write(&format!("apps/{}.toml", app.name), &app.document());
        self
    }

    fn write_gateway(&self) {
        let Self { instance, listener, tables, port, .. } = self;
        let text = format!(
            "[instance]\nname = \"test\"\nstate_directory = \"state\"\ndefault_domain_suffix = \"localhost\"\n{instance}\n\
             [[listener]]\naddress = \"{}\"\nprotocol = \"http\"\n{listener}{tables}",
            port.address
        );
        self.write("gateway.toml", &text);
    }

    /// Starts the gateway and waits until it takes connections.
    #[track_caller]
    pub fn start(self) -> Gateway {
        self.write_gateway();
        let run = self.run();
        Gateway::start(self.directory, self.port, (self.admin, self.https), run)
    }

    fn run(&self) -> Command {
        let mut run = lockgate_through(&self.launcher, self.path());
        run.arg("run").envs(self.environment.iter().map(|(name, value)| (name, value)));
        run
    }

    /// As [`Config::start`] for a configuration that must be refused: exit code and standard error.
    pub fn start_and_fail(self) -> (Option<i32>, String) {
        self.write_gateway();
        let output = self.run().output().expect("the gateway runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
