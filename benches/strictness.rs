//! What it costs to read heads strictly: instructions of a request, counted under valgrind's callgrind, beside a reader that
//! asks no more than it needs to pass a message on (`httparse`, and the four fields that say where a message ends). The
//! difference is held to a part of what the whole request costs the gateway, as `loadtest/counts.toml` keeps it.

use std::hint::black_box;
use std::process::{Command, ExitCode};

use lockgate::http::framing::{request_framing, response_framing};
use lockgate::http::head::{HeadLimits, RequestHead, RequestView, ResponseHead, ResponseView, parse_request, parse_response};
use lockgate::http::target::{host_of, parse_target};

const LIMITS: HeadLimits = HeadLimits { start_line_bytes: 8 * 1024, head_bytes: 32 * 1024, fields: 100 };

/// The most that strictness may cost, as a part of the whole request.
const MOST: f64 = 0.03;

/// As the load generator sends it.
fn request() -> Vec<u8> {
    let fields = include_str!("../loadtest/browser.txt").replace('\n', "\r\n");
    format!("GET /plain/128 HTTP/1.1\r\nHost: api.example.com\r\n{fields}\r\n").into_bytes()
}

/// As nginx answers.
fn answer() -> Vec<u8> {
    format!("{}\r\n", include_str!("nginx.txt").replace('\n', "\r\n")).into_bytes()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, how, times] = &arguments[..]
        && let Ok(times) = times.parse()
    {
        read(how, times);
        return ExitCode::SUCCESS;
    }
    let (lenient, strict, whole) = (instructions("lenient"), instructions("strict"), instructions_of_a_request());
    let part = (strict - lenient) / whole;
    println!("two heads read: {lenient:.0} instructions leniently, {strict:.0} strictly");
    println!(
        "strictness: {:+.1} % of the {whole:.0} instructions of a request, at most {:.1} % pass",
        part * 100.0,
        MOST * 100.0
    );
    if part <= MOST { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(how: &str, times: u32) {
    let heads = (request(), answer());
    let (mut request, mut answer) = (RequestHead::default(), ResponseHead::default());
    for _ in 0..times {
        let (asked, answered) = black_box((&heads.0[..], &heads.1[..]));
        match how {
            "strict" => strictly(asked, &mut request, answered, &mut answer),
            _ => leniently(asked, answered),
        }
        .expect("good heads");
    }
}

fn strictly(asked: &[u8], request: &mut RequestHead, answered: &[u8], answer: &mut ResponseHead) -> Option<()> {
    parse_request(asked, 0, &LIMITS, request).ok()?;
    let view = RequestView { buffer: asked, head: request };
    let target = parse_target(view.method(), view.target()).ok()?;
    black_box(host_of(&view, &target).ok()?);
    black_box(request_framing(&view).ok()?);
    parse_response(answered, 0, &LIMITS, answer).ok()?;
    black_box(response_framing(&ResponseView { buffer: answered, head: answer }, false).ok()?);
    Some(())
}

fn leniently(asked: &[u8], answered: &[u8]) -> Option<()> {
    let mut room = [const { std::mem::MaybeUninit::uninit() }; 100];
    let mut request = httparse::Request::new(&mut []);
    request.parse_with_uninit_headers(asked, &mut room).ok()?;
    black_box(fields(request.headers));
    let mut room = [const { std::mem::MaybeUninit::uninit() }; 100];
    let mut answer = httparse::Response::new(&mut []);
    httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut answer, answered, &mut room).ok()?;
    black_box(fields(answer.headers));
    Some(())
}

/// Where a message goes and ends, as far as fields say it.
fn fields<'a>(fields: &[httparse::Header<'a>]) -> [Option<&'a [u8]>; 4] {
    let first = |name: &str| fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value);
    ["Host", "Content-Length", "Transfer-Encoding", "Connection"].map(first)
}

/// Of reading both heads once: what more of it costs, without what a process costs.
fn instructions(how: &str) -> f64 {
    const FEW: u32 = 1000;
    const MORE: u32 = 2000;
    (counted(how, FEW + MORE) - counted(how, FEW)) / f64::from(MORE)
}

fn counted(how: &str, times: u32) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program).args([how, &times.to_string()]);
    let output = command.output().expect("valgrind is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    collected.and_then(|(_, count)| count.trim().parse().ok()).unwrap_or_else(|| panic!("callgrind's count is missing: {said}"))
}

fn instructions_of_a_request() -> f64 {
    let kept: toml::Table = toml::from_str(include_str!("../loadtest/counts.toml")).expect("kept figures");
    let figure = ["release", "plain-128", "at_once"].iter().try_fold(&kept, |table, key| table.get(*key)?.as_table());
    figure.and_then(|figure| figure.get("instructions")?.as_integer()).expect("the figure of a plain request") as f64
}
