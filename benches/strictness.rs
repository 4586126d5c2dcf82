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
const REQUEST: &[u8] = b"GET /plain/128 HTTP/1.1\r\n\
Host: api.example.com\r\n\
Connection: keep-alive\r\n\
sec-ch-ua: \"Chromium\";v=\"128\", \"Not;A=Brand\";v=\"24\"\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36\r\n\
Accept: application/json, text/plain, */*\r\n\
Sec-Fetch-Site: same-site\r\n\
Sec-Fetch-Mode: cors\r\n\
Sec-Fetch-Dest: empty\r\n\
Referer: https://www.example.com/account/orders?page=3\r\n\
Accept-Encoding: gzip, deflate, br\r\n\
Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=1\r\n\
\r\n";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
Server: nginx/1.22.1\r\n\
Date: Sun, 22 Nov 2026 20:35:27 GMT\r\n\
Content-Type: application/octet-stream\r\n\
Content-Length: 128\r\n\
Last-Modified: Tue, 13 Jun 2023 15:08:10 GMT\r\n\
Connection: keep-alive\r\n\
ETag: \"6488865a-80\"\r\n\
Accept-Ranges: bytes\r\n\
\r\n";

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
    let (mut request, mut answer) = (RequestHead::default(), ResponseHead::default());
    for _ in 0..times {
        match how {
            "strict" => strictly(&mut request, &mut answer),
            _ => leniently(),
        }
        .expect("good heads");
    }
}

fn strictly(request: &mut RequestHead, answer: &mut ResponseHead) -> Option<()> {
    let bytes = black_box(REQUEST);
    parse_request(bytes, 0, &LIMITS, request).ok()?;
    let view = RequestView { buffer: bytes, head: request };
    let target = parse_target(view.method(), view.target()).ok()?;
    black_box(host_of(&view, &target).ok()?);
    black_box(request_framing(&view).ok()?);
    let bytes = black_box(ANSWER);
    parse_response(bytes, 0, &LIMITS, answer).ok()?;
    black_box(response_framing(&ResponseView { buffer: bytes, head: answer }, false).ok()?);
    Some(())
}

fn leniently() -> Option<()> {
    let mut room = [const { std::mem::MaybeUninit::uninit() }; 100];
    let mut request = httparse::Request::new(&mut []);
    request.parse_with_uninit_headers(black_box(REQUEST), &mut room).ok()?;
    black_box(fields(request.headers));
    let mut room = [const { std::mem::MaybeUninit::uninit() }; 100];
    let mut answer = httparse::Response::new(&mut []);
    httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut answer, black_box(ANSWER), &mut room).ok()?;
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
