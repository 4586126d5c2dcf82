//! The walk-through of the product topic, command by command: an nginx in a VPC, a VPC access authorization, an API
//! group, an API, an app with its authorization, publish, the egress addresses, and calls with AppCode and signature.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use lockgate_test_support::{Nginx, Process, curl, lockgate, repository, reserve, succeeds};

const WELCOME: &str = "<h1>Welcome to nginx!</h1>";

#[track_caller]
fn run(config: &Path, line: &[&str]) -> String {
    let output = succeeds(lockgate(config).args(line));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The value of a key in a document that a command wrote.
fn value(config: &Path, document: &str, key: &str) -> String {
    let text = fs::read_to_string(config.join(document)).unwrap_or_else(|e| panic!("{document}: {e}"));
    let line = text.lines().find_map(|l| l.split_once('=').filter(|(k, _)| k.trim() == key).map(|(_, v)| v.to_owned()));
    let line = line.unwrap_or_else(|| panic!("no {key} in {document}:\n{text}"));
    line.split('"').nth(1).unwrap_or_else(|| panic!("{key} is no string: {line}")).to_owned()
}

#[test]
fn an_nginx_in_a_vpc_is_reached_through_the_gateway() {
    let nginx = Nginx::start();
    let port = reserve();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = directory.path();
    let sample = fs::read_to_string(repository().join("config/gateway.toml")).expect("the sample instance");
    assert!(sample.contains("127.0.0.1:8080"), "the sample listens where this test looks");
    let text = sample.replace("127.0.0.1:8080", &port.address.to_string());
    fs::write(config.join("gateway.toml"), text).expect("the directory can be written");

    // Step 1: the VPC access authorization.
    let nginx_port = nginx.address.port().to_string();
    run(
        config,
        &[
            "vpc-access",
            "create",
            "nginx-microservice",
            "--vpc-id",
            "vpc-demo",
            "--address",
            "127.0.0.1",
            "--instance-id",
            "i-nginx-1",
            "--port",
            &nginx_port,
            "--host",
            "nginx.internal",
        ],
    );
    // Step 2: the API group, and the API.
    run(
        config,
        &["group", "create", "nginx-demo", "--base-path", "/", "--domain", "api.example.com", "--domain", "*.example.net"],
    );
    run(
        config,
        &[
            "api",
            "create",
            "nginx-demo/nginx-test",
            "--method",
            "GET",
            "--path",
            "/nginx",
            "--vpc-access",
            "nginx-microservice",
            "--backend-path",
            "/",
            "--timeout-ms",
            "10000",
            "--auth",
            "app",
            "--app-code",
            "header-query",
            "--signature-method",
            "HMAC_SHA256",
            "--protocol",
            "http",
            "--protocol",
            "https",
        ],
    );
    // Step 3: the app, and what it may call.
    run(config, &["app", "create", "demo-app"]);
    run(config, &["authorize", "demo-app", "nginx-demo/nginx-test", "--stage", "RELEASE", "--expires", "2099-01-01T00:00:00Z"]);
    run(config, &["check"]);
    // Step 4: publish; until then the API does not exist.
    run(config, &["publish", "nginx-demo/nginx-test", "--stage", "RELEASE", "--remarks", "first version"]);
    assert!(config.join("published/RELEASE/nginx-demo/nginx-test").exists(), "the layout of published/");
    // Step 5: what the security group of the backend must let in.
    assert!(!run(config, &["egress"]).trim().is_empty());

    let log = fs::File::create(config.join("output")).expect("the output file can be made");
    let mut command = lockgate(config);
    command.arg("run").stdout(Stdio::null()).stderr(log);
    let mut gateway = Process::serving(command, [port.address]);
    gateway.wait_until_it_listens();

    // Step 6: debug from the command line.
    for way in ["--app-code", "--signature"] {
        let seen = run(config, &["call", "nginx-demo/nginx-test", "--app", "demo-app", way]);
        assert!(seen.contains(WELCOME), "{way}: {seen}");
        assert!(seen.contains("200"), "{way}: {seen}");
        assert!(seen.to_ascii_lowercase().contains("x-ca-request-id"), "{way}: {seen}");
    }

    // Step 7: any HTTP client.
    let url = format!("http://{}/nginx", port.address);
    let code = value(config, "apps/demo-app.toml", "app_code");
    for host in ["api.example.com", "shop.example.net", "nginx-demo.localhost"] {
        let host = format!("Host: {host}");
        let authorization = format!("Authorization: APPCODE {code}");
        let output = succeeds(curl().args(["--fail", "-H", &host, "-H", &authorization, &url]));
        assert!(String::from_utf8_lossy(&output.stdout).contains(WELCOME));
        let output = succeeds(curl().args(["--fail", "-H", &host, &format!("{url}?AppCode={code}")]));
        assert!(String::from_utf8_lossy(&output.stdout).contains(WELCOME));
    }
    let output = succeeds(curl().args(["-i", "-H", "Host: api.example.com", &url]));
    let refused = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(refused.starts_with("HTTP/1.1 400") && refused.contains("A400MA"), "{refused}");
    let requests = nginx.log();
    assert!(requests.lines().count() == 8 && requests.lines().all(|l| l.starts_with("GET / 200")), "{requests}");

    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn the_sample_instance_is_good() {
    run(&repository().join("config"), &["check"]);
}

#[test]
fn new_secrets_come_from_the_system_and_are_not_the_same_twice() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = directory.path();
    fs::copy(repository().join("config/gateway.toml"), config.join("gateway.toml")).expect("the sample can be copied");
    for app in ["one", "two"] {
        run(config, &["app", "create", app]);
    }
    for key in ["app_key", "app_secret", "app_code"] {
        let [one, two] = ["one", "two"].map(|app| value(config, &format!("apps/{app}.toml"), key));
        assert_ne!(one, two, "{key}");
        assert!(one.len() >= 8, "{key}: {one}");
    }
    // What exists is not overwritten.
    let again = lockgate(config).args(["app", "create", "one"]).output().expect("the command runs");
    assert!(!again.status.success());
}
