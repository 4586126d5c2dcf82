//! Wire formats: a request head, a response head, a chunked body, a head written. `httparse` reads the same request
//! beside us, as a measure of what a head costs a parser that checks less.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lockgate::http::chunked::{ChunkLimits, Decoder, Output};
use lockgate::http::connection::HopByHop;
use lockgate::http::framing::{request_framing, response_framing};
use lockgate::http::head::{HeadLimits, RequestHead, RequestView, ResponseHead, ResponseView, parse_request, parse_response};
use lockgate::http::serialise::{HeadWriter, PassingLines};
use lockgate::http::target::{host_of, parse_target};

const HEAD: HeadLimits = HeadLimits { start_line_bytes: 8 * 1024, head_bytes: 32 * 1024, fields: 100 };
const CHUNKED: ChunkLimits = ChunkLimits { extension_bytes: 4 * 1024, trailer_bytes: 8 * 1024 };

/// What a signed call of an official client looks like.
const REQUEST: &[u8] = b"GET /nginx/user/10086?page=1&size=20&sort=name HTTP/1.1\r\n\
Host: api.example.com\r\n\
Accept: application/json\r\n\
Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n\
Date: Sun, 22 Nov 2026 20:35:27 GMT+00:00\r\n\
User-Agent: ALIYUN-ANDROID-DEMO\r\n\
X-Ca-Key: 24601001\r\n\
X-Ca-Nonce: 210dcae5-1e6c-4497-bf9a-b077fe14f76b\r\n\
X-Ca-Timestamp: 1795329125416\r\n\
X-Ca-Stage: RELEASE\r\n\
X-Ca-Signature-Method: HmacSHA256\r\n\
X-Ca-Signature-Headers: X-Ca-Key,X-Ca-Nonce,X-Ca-Stage,X-Ca-Timestamp\r\n\
X-Ca-Signature: tMywwSVee/ntNOQBllXuuEcbD4VFan2IwYAAz8lHQk0=\r\n\
Connection: keep-alive\r\n\
\r\n";

/// What nginx answers.
fn nginx_answers() -> Vec<u8> {
    format!("{}\r\n", include_str!("nginx.txt").replace('\n', "\r\n")).into_bytes()
}

fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    let mut request = RequestHead::default();
    let mut response = ResponseHead::default();
    let answer = &nginx_answers()[..];

    group.throughput(Throughput::Bytes(REQUEST.len() as u64));
    group.bench_function("request", |b| b.iter(|| parse_request(black_box(REQUEST), 0, &HEAD, black_box(&mut request))));
    group.bench_function("request_by_httparse", |b| {
        b.iter(|| {
            let mut fields = [const { std::mem::MaybeUninit::uninit() }; 128];
            let mut head = httparse::Request::new(&mut []);
            let status = head.parse_with_uninit_headers(black_box(REQUEST), &mut fields);
            black_box(head.headers.len());
            status
        })
    });
    group.bench_function("request_with_target_host_and_framing", |b| {
        b.iter(|| {
            parse_request(black_box(REQUEST), 0, &HEAD, &mut request)?;
            let view = RequestView { buffer: REQUEST, head: &request };
            let target = parse_target(view.method(), view.target())?;
            host_of(&view, &target)?;
            request_framing(&view)
        })
    });
    group.throughput(Throughput::Bytes(answer.len() as u64));
    group.bench_function("response", |b| b.iter(|| parse_response(black_box(answer), 0, &HEAD, black_box(&mut response))));
    group.bench_function("response_with_framing", |b| {
        b.iter(|| {
            parse_response(black_box(answer), 0, &HEAD, &mut response)?;
            response_framing(&ResponseView { buffer: answer, head: &response }, false)
        })
    });

    parse_response(answer, 0, &HEAD, &mut response).expect("a good head");
    let view = ResponseView { buffer: answer, head: &response };
    let mut out = [0; 4096];
    group.bench_function("response_relayed", |b| {
        b.iter(|| {
            let hop_by_hop = HopByHop::of_response(&view);
            let mut writer = HeadWriter::new(black_box(&mut out));
            writer.status_line(view.head.status);
            let mut lines = PassingLines::new(answer);
            for field in view.head.fields.iter().filter(|field| !hop_by_hop.drops(field)) {
                lines.pass(field, &mut writer);
            }
            lines.finish(&mut writer);
            writer.field(b"X-Ca-Request-Id", b"2C1F5B52-9F1F-4E0E-8F7D-0F4F4B3D6A11");
            writer.end();
            writer.finish()
        })
    });
    group.finish();
}

fn chunked(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunked_16KiB");
    group.throughput(Throughput::Bytes(16 * 1024));
    // One chunk; chunks of 1 KiB; the same with an extension each, so that bytes have to move.
    for (name, chunk, extension) in
        [("one_chunk", 16 * 1024, ""), ("1KiB_chunks", 1024, ""), ("1KiB_chunks_with_extensions", 1024, ";a=b")]
    {
        let mut message = Vec::new();
        for _ in 0..16 * 1024 / chunk {
            message.extend_from_slice(format!("{chunk:x}{extension}\r\n").as_bytes());
            message.extend(std::iter::repeat_n(b'x', chunk));
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(b"0\r\n\r\n");
        for (kind, output) in [("chunks", Output::Chunks), ("content", Output::Content)] {
            group.bench_function(format!("{name}/{kind}"), |b| {
                b.iter_batched_ref(
                    || message.clone(),
                    |buffer| Decoder::new().decode(buffer, output, &CHUNKED),
                    BatchSize::SmallInput,
                )
            });
        }
    }
    group.finish();
}

criterion_group!(benches, heads, chunked);
criterion_main!(benches);
