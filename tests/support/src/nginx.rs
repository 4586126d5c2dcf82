//! A real nginx as the backend: its own configuration, directory and port, ended with the test.

use std::fs;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::ports::{Port, reserve};
use crate::process::Process;
use crate::tls::Identity;
use crate::tools;

pub struct Nginx {
    pub address: SocketAddr,
    process: Process,
    directory: TempDir,
    _port: Port,
}

impl Nginx {
    /// `/` answers with the welcome page, `/echo` with the request as nginx understood it, `/files/` with the files of
    /// [`Nginx::root`]; everything else is 404.
    pub fn start() -> Self {
        Self::start_as("", "", |_| {})
    }

    /// The same over HTTPS, with this certificate. `lines`: further directives of the server. Its log says besides, of each
    /// request: whether the session was resumed (`r` or `.`), the name that was asked for, and the Host.
    pub fn secured(identity: &Identity, lines: &str) -> Self {
        let lines = format!("ssl_certificate server.pem; ssl_certificate_key server.key; {lines}");
        Self::start_as("ssl", &lines, |prefix| identity.write(prefix, "server"))
    }

    fn start_as(how: &str, lines: &str, prepare: impl FnOnce(&Path)) -> Self {
        let port = reserve();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let prefix = directory.path();
        for place in ["root/files", "temporary"] {
            fs::create_dir_all(prefix.join(place)).expect("the temporary directory can be written");
        }
        fs::write(prefix.join("root/index.html"), "<h1>Welcome to nginx!</h1>\n").expect("the root can be written");
        let config = prefix.join("nginx.conf");
        prepare(prefix);
        fs::write(&config, configuration(port.address, how, lines)).expect("the configuration can be written");
        let mut process = Process::serving(command(prefix), [port.address]);
        process.wait_until_it_listens();
        Self { address: port.address, process, directory, _port: port }
    }

    /// From now on it shows this certificate; connections that there are end.
    pub fn show(&mut self, identity: &Identity) {
        identity.write(self.directory.path(), "server");
        self.restart();
    }

    /// The document root: `/files/x` is the file `files/x` in it.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// Requests so far, a line each: method, target, status, and the connection's number and request count.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default()
    }
}

impl Deref for Nginx {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Nginx {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn command(prefix: &Path) -> Command {
    let log = fs::File::options().create(true).append(true).open(prefix.join("error.log")).expect("the log can be made");
    let mut command = tools::nginx();
    command
        .arg("-p")
        .arg(prefix)
        .arg("-c")
        .arg(prefix.join("nginx.conf"))
        .args(["-e", "stderr", "-g", "daemon off; master_process off;"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    command
}

fn configuration(address: SocketAddr, how: &str, lines: &str) -> String {
    let secure = if how == "ssl" { " $ssl_session_reused $ssl_server_name $http_host" } else { "" };
    format!(
        r#"pid nginx.pid;
worker_processes 1;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    log_format plain '$request_method $request_uri $status $connection $connection_requests{secure}';
    access_log access.log plain;
    client_body_temp_path temporary/body;
    proxy_temp_path temporary/proxy;
    fastcgi_temp_path temporary/fastcgi;
    uwsgi_temp_path temporary/uwsgi;
    scgi_temp_path temporary/scgi;
    client_max_body_size 64m;
    keepalive_requests 100000;
    types {{ text/html html; application/octet-stream bin; }}
    server {{
        listen {address} {how};
        {lines}
        root root;
        location = / {{ index index.html; }}
        location /echo {{
            default_type application/json;
            return 200 '{{"method":"$request_method","uri":"$request_uri","host":"$http_host","type":"$content_type","length":"$content_length","forwarded_for":"$http_x_forwarded_for","request_id":"$http_x_ca_request_id"}}';
        }}
    }}
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Client, Request};
    use crate::wait::eventually;

    #[test]
    fn nginx_answers_and_keeps_a_log() {
        let nginx = Nginx::start();
        let mut client = Client::connect(nginx.address);
        let answer = client.call(&Request::get("/"));
        assert_eq!((answer.status(), answer.text().as_str()), (200, "<h1>Welcome to nginx!</h1>\n"));
        let echo = client.call(&Request::get("/echo?a=1").host("x.test")).text();
        assert!(echo.contains("\"uri\":\"/echo?a=1\",\"host\":\"x.test\""), "{echo}");
        fs::write(nginx.root().join("files/a.bin"), b"abc").expect("the root can be written");
        assert_eq!(client.call(&Request::get("/files/a.bin")).text(), "abc");
        eventually("three lines in the log", || (nginx.log().lines().count() == 3).then_some(()));
    }
}
