use proptest::prelude::*;

use super::*;

const LIMITS: ChunkLimits = ChunkLimits { extension_bytes: 64, trailer_bytes: 64 };

type Decoded = (Vec<u8>, usize, usize, bool, Vec<u8>);

/// Outputs of all pieces one after the other, content counted, bytes consumed, done; and the trailers.
fn decode(pieces: &[&[u8]], output: Output) -> Result<Decoded, ChunkError> {
    let mut decoder = Decoder::new();
    let (mut out, mut content, mut consumed, mut done) = (Vec::new(), 0, 0, false);
    for piece in pieces {
        let mut buffer = piece.to_vec();
        let step = decoder.decode(&mut buffer, output, &LIMITS)?;
        assert!(step.output.end <= step.consumed && step.consumed <= piece.len());
        assert_eq!(&buffer[step.consumed..], &piece[step.consumed..], "what follows the message is not touched");
        assert!(step.done || step.consumed == piece.len());
        out.extend_from_slice(&buffer[step.output]);
        content += step.content;
        consumed += step.consumed;
        done = step.done;
    }
    Ok((out, content, consumed, done, decoder.trailers().to_vec()))
}

fn error(message: &[u8]) -> ChunkError {
    decode(&[message], Output::Chunks).map(|(.., done, _)| done).expect_err(&String::from_utf8_lossy(message))
}

fn malformed(message: &[u8]) -> &'static str {
    match error(message) {
        ChunkError::Malformed(reason) => reason,
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(message)),
    }
}

#[test]
fn canonical_chunks_stay_where_they_are() {
    let message = b"5\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\nGET";
    let mut buffer = message.to_vec();
    let step = Decoder::new().decode(&mut buffer, Output::Chunks, &LIMITS).unwrap();
    assert_eq!(step, Step { output: 0..42, consumed: 47, content: 31, done: true });
    assert_eq!(buffer, message);
}

#[test]
fn sizes_are_respelled() {
    let message = b"00A;x=y\r\n0123456789\r\n01\r\nz\r\n000\r\n\r\n";
    let (out, content, consumed, done, _) = decode(&[message], Output::Chunks).unwrap();
    assert_eq!((&out[..], content, consumed, done), (&b"a\r\n0123456789\r\n1\r\nz\r\n"[..], 11, message.len(), true));
    assert_eq!(decode(&[message], Output::Content).unwrap().0, b"0123456789z");
}

/// One chunk in one buffer: its content is sent from where it was received.
#[test]
fn lone_content_does_not_move() {
    let mut buffer = b"5\r\nhello\r\n0\r\n\r\n".to_vec();
    let step = Decoder::new().decode(&mut buffer, Output::Content, &LIMITS).unwrap();
    assert_eq!(step.output, 3..8);
}

#[test]
fn after_the_end_nothing_is_taken() {
    let mut decoder = Decoder::new();
    decoder.decode(&mut b"0\r\n\r\n".to_vec(), Output::Chunks, &LIMITS).unwrap();
    let step = decoder.decode(&mut b"5\r\n".to_vec(), Output::Chunks, &LIMITS).unwrap();
    assert_eq!(step, Step { output: 0..0, consumed: 0, content: 0, done: true });
}

/// RFC 9112, section 7.1: `chunk-size = 1*HEXDIG`, and overflow.
#[test]
fn sizes() {
    let digit = "a byte in a chunk size that is no hexadecimal digit";
    for (message, reason) in [
        (&b"\r\n"[..], "a chunk size is missing"),
        (b"+5\r\n", "a chunk size is missing"),
        (b"-5\r\n", "a chunk size is missing"),
        (b" 5\r\n", "a chunk size is missing"),
        (b";x\r\n", "a chunk size is missing"),
        (b"5\r\nhello\r\n\r\n", "a chunk size is missing"),
        (b"0x5\r\n", digit),
        (b"5 \r\n", digit),
        (b"5 ;x\r\n", digit),
        (b"5\t\r\n", digit),
        (b"5,\r\n", digit),
        (b"5_0\r\n", digit),
        (b"G\r\n", "a chunk size is missing"),
        (b"5\x00\r\n", digit),
        (b"5\n", digit),
        (b"5\rh", "a bare CR in a chunk size line"),
        (b"5\r;a\r\n", "a bare CR in a chunk size line"),
        (b"10000000000000005\r\n", "a chunk size larger than any body"),
        (b"8000000000000000\r\n", "a chunk size larger than any body"),
        (b"000000000000000000000000000000000\r\n", "a chunk size larger than any body"),
        (b"5\r\nhello0\r\n", "chunk data longer than its size"),
        (b"5\r\nhello\n", "chunk data longer than its size"),
        (b"5\r\nhello\r0", "a bare CR after chunk data"),
    ] {
        assert_eq!(malformed(message), reason, "{:?}", String::from_utf8_lossy(message));
    }
    for good in [&b"7fffffffffffffff\r\n"[..], b"00000000000000000005\r\nhello\r\n0\r\n\r\n", b"fF\r\n"] {
        assert!(decode(&[good], Output::Chunks).is_ok(), "{:?}", String::from_utf8_lossy(good));
    }
}

/// RFC 9112, section 7.1.1.
#[test]
fn extensions() {
    for good in ["a", "a=b", "a;b", "a=\"b\";c", "a=\"\"", "a=\" \t\\\"\\\\;\u{e9}\"", "a=b;c=\"d\";e"] {
        let message = format!("1;{good}\r\nx\r\n0;{good}\r\n\r\n");
        let (out, _, _, done, _) = decode(&[message.as_bytes()], Output::Chunks).expect(good);
        assert_eq!((&out[..], done), (&b"1\r\nx\r\n"[..], true));
    }
    for bad in [
        "",
        ";",
        "a;",
        "a=",
        "=b",
        "a =b",
        "a= b",
        " a",
        "a ",
        "a=\"",
        "a=\"b",
        "a=\"b\"c",
        "a=\"\0\"",
        "a=\"\\\0\"",
        "a\0",
        "a=b=c",
        "a\n",
    ] {
        let message = format!("1;{bad}\r\nx\r\n0\r\n\r\n");
        assert_eq!(malformed(message.as_bytes()), "a chunk extension is not well-formed", "{bad:?}");
    }
    // The limit is for all extensions of a message together.
    let long = format!("1;{}\r\nx\r\n1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(31), "a".repeat(31));
    assert!(decode(&[long.as_bytes()], Output::Chunks).is_ok());
    let longer = format!("1;{}\r\nx\r\n1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(31), "a".repeat(32));
    assert_eq!(error(longer.as_bytes()), ChunkError::ExtensionsTooLarge);
}

/// RFC 9112, section 7.1.2; RFC 9110, section 6.5.1.
#[test]
fn trailers() {
    let trailers = |section: &str| {
        decode(&[format!("0\r\n{section}\r\n").as_bytes()], Output::Chunks).map(|(.., done, kept)| {
            assert!(done);
            String::from_utf8(kept).unwrap()
        })
    };
    assert_eq!(trailers(""), Ok("".into()));
    assert_eq!(trailers("X-Sum: 1\r\n"), Ok("X-Sum: 1\r\n".into()));
    assert_eq!(trailers("X-Sum: 1\r\nHost: evil\r\nX-B:2\r\n"), Ok("X-Sum: 1\r\nX-B:2\r\n".into()));
    for dropped in [
        "Transfer-Encoding",
        "Content-Length",
        "Host",
        "Authorization",
        "X-Ca-Key",
        "X-Ca-Whatever",
        "X-Ca-Proxy-Signature",
        "Content-Encoding",
        "Connection",
        "TE",
        "Trailer",
        "Cookie",
        "Set-Cookie",
        "Vary",
        "If-Match",
        "X-Forwarded-For",
        "x-forwarded-host",
        "X-Real-IP",
        "cache-control",
    ] {
        assert_eq!(trailers(&format!("{dropped}: 1\r\n")), Ok("".into()), "{dropped}");
    }
    for bad in ["X : y\r\n", " X: y\r\n", ": y\r\n", "X\r\n", "X: y\n", "X: a\rb\r\n", "X: \0\r\n", "\n", "\rX"] {
        assert!(matches!(trailers(bad), Err(ChunkError::Malformed(_))), "{bad:?}");
    }
    let longest = format!("X: {}\r\n", "v".repeat(LIMITS.trailer_bytes - 5));
    assert_eq!(trailers(&longest).as_deref(), Ok(&longest[..]));
    let longer = format!("X: {}\r\n", "v".repeat(LIMITS.trailer_bytes - 4));
    assert_eq!(trailers(&longer), Err(ChunkError::TrailersTooLarge));
    // An endless line, and endless lines that are not kept.
    assert_eq!(error(&[b"0\r\nX: ", &[b'v'; 100][..]].concat()), ChunkError::TrailersTooLarge);
    assert_eq!(error(&[b"0\r\n", &b"Host: a\r\n".repeat(10)[..]].concat()), ChunkError::TrailersTooLarge);
}

/// A well-formed message: as sent, in canonical spelling without its end, its content, its trailers.
fn message() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>)> {
    let extension = prop::sample::select(vec!["", "", "", ";a", ";a=b", ";a=\"; \\\" \r\n\"", ";x=\"0\""]);
    let chunk = (prop::collection::vec(any::<u8>(), 1..40), 0..3usize, any::<bool>(), extension);
    let trailer = prop::sample::select(vec!["X-Sum: 1\r\n", "Host: a\r\n", "x:y\r\n"]);
    (prop::collection::vec(chunk, 0..5), prop::collection::vec(trailer, 0..3), 1..4usize).prop_map(|(chunks, trailers, last)| {
        let (mut wire, mut canonical, mut content, mut kept) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (data, zeros, upper, extension) in chunks {
            let size = format!("{:x}", data.len());
            let extension = extension.replace("\r\n", "");
            let sent = if upper { size.to_uppercase() } else { size.clone() };
            wire.extend_from_slice(format!("{}{sent}{extension}\r\n", "0".repeat(zeros)).as_bytes());
            canonical.extend_from_slice(format!("{size}\r\n").as_bytes());
            for out in [&mut wire, &mut canonical] {
                out.extend_from_slice(&data);
                out.extend_from_slice(b"\r\n");
            }
            content.extend_from_slice(&data);
        }
        wire.extend_from_slice(format!("{}\r\n", "0".repeat(last)).as_bytes());
        for trailer in trailers {
            wire.extend_from_slice(trailer.as_bytes());
            if !trailer.starts_with("Host") {
                kept.extend_from_slice(trailer.as_bytes());
            }
        }
        wire.extend_from_slice(b"\r\n");
        (wire, canonical, content, kept)
    })
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_output(
        (wire, canonical, content, kept) in message(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let ended = decode(&cut(&wire, &cuts), Output::Chunks).unwrap();
        prop_assert_eq!(ended, (canonical, content.len(), wire.len(), true, kept.clone()));
        let ended = decode(&cut(&wire, &cuts), Output::Content).unwrap();
        prop_assert_eq!(ended, (content.clone(), content.len(), wire.len(), true, kept.clone()));
        let bytes: Vec<_> = wire.chunks(1).collect();
        prop_assert_eq!(decode(&bytes, Output::Content).unwrap().0, content);
    }

    #[test]
    fn what_follows_is_left((wire, ..) in message(), next in prop::collection::vec(any::<u8>(), 0..20)) {
        let both = [&wire[..], &next].concat();
        let (_, _, consumed, done, _) = decode(&[&both], Output::Chunks).unwrap();
        prop_assert_eq!((consumed, done), (wire.len(), true));
    }

    /// A damaged message is judged alike however it is cut, and never panics.
    #[test]
    fn damage_is_found_whatever_the_cut(
        (mut wire, ..) in message(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\r\n\t ;=\"\\0f5:aZ\xff\0".to_vec())), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        for (index, byte) in damage {
            let at = index.index(wire.len());
            wire[at] = byte;
        }
        let whole = decode(&[&wire], Output::Chunks);
        let pieces = cut(&wire, &cuts);
        // A message that ends early would be asked for more by the pieces after its end.
        let end = whole.as_ref().map_or(wire.len(), |&(_, _, consumed, ..)| consumed);
        let parts = if end == wire.len() { decode(&pieces, Output::Chunks) } else { decode(&cut(&wire[..end], &cuts), Output::Chunks) };
        prop_assert_eq!(whole, parts);
    }
}
