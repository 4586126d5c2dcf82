use super::*;

const LIMITS: FrameLimits = FrameLimits { resets: 2, idle_frames: 3, continuations: 1 };
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn of_stream(stream: u8, kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    [&[0, (len >> 8) as u8, len as u8, kind, flags, 0, 0, 0, stream][..], payload].concat()
}

fn frame(kind: u8, flags: u8, len: usize) -> Vec<u8> {
    of_stream(1, kind, flags, &vec![0x7f; len])
}

/// Whatever the bytes are cut into.
fn seen(frames: &[Vec<u8>]) -> Result<(), Breach> {
    let bytes = [PREFACE, &frames.concat()].concat();
    let cut = |size: usize| {
        let mut seen = Frames::of_client();
        bytes.chunks(size).try_for_each(|part| seen.see(part, 0, &LIMITS).map_err(|(_, breach)| breach))
    };
    let outcome = cut(usize::MAX);
    (1..40).for_each(|size| assert_eq!(cut(size), outcome, "{size}"));
    outcome
}

#[test]
fn each_kind_has_its_bound() {
    for (kind, len) in [(PRIORITY, 5), (SETTINGS, 6), (PING, 8), (GOAWAY, 8), (10, 8), (0xfa, 8)] {
        assert_eq!(seen(&vec![frame(kind, 0, len); 3]), Ok(()), "{kind}");
        assert_eq!(seen(&vec![frame(kind, 0, len); 4]), Err(Breach::IdleFrames), "{kind}");
    }
    assert_eq!(seen(&vec![frame(RST_STREAM, 0, 4); 2]), Ok(()));
    assert_eq!(seen(&vec![frame(RST_STREAM, 0, 4); 3]), Err(Breach::Resets));
    assert_eq!(seen(&vec![frame(DATA, 0, 0); 4]), Err(Breach::IdleFrames));
    assert!(Breach::Grants.is_flood() && !Breach::Size.is_flood());
}

#[test]
fn what_moves_something_is_not_counted() {
    let useful = |stream| {
        [frame(HEADERS, 4, 300), frame(DATA, 0, 1), frame(DATA, END_STREAM, 0)].concat().into_iter().enumerate().map(
            // Each a stream of its own.
            move |(at, byte)| if [8, 317, 327].contains(&at) { stream } else { byte },
        )
    };
    assert_eq!(seen(&(1..100).map(|stream| useful(stream).collect()).collect::<Vec<_>>()), Ok(()));
}

#[test]
fn room_is_granted_for_what_is_sent() {
    let grants = |frames: &mut Frames, n| frames.see(&frame(WINDOW_UPDATE, 0, 4).repeat(n), 0, &LIMITS);
    let mut frames = Frames::default();
    assert_eq!(grants(&mut frames, 3), Ok(()), "so many for nothing");
    frames.sent(2);
    assert_eq!(grants(&mut frames, 2 * GRANTS_OF_A_MESSAGE_FRAME), Ok(()));
    // In another period there may be some for nothing again.
    assert_eq!(frames.see(&frame(WINDOW_UPDATE, 0, 4).repeat(3), PERIOD_MS, &LIMITS), Ok(()));
    assert_eq!(frames.see(&frame(WINDOW_UPDATE, 0, 4), PERIOD_MS, &LIMITS), Err((0, Breach::Grants)));
}

#[test]
fn continuations_count_for_one_head() {
    let head = |stream| [of_stream(stream, HEADERS, 0, &[1; 10]), of_stream(stream, CONTINUATION, 4, &[1; 10])].concat();
    assert_eq!(seen(&[head(1), head(3), head(5)]), Ok(()));
    assert_eq!(seen(&[frame(HEADERS, 0, 10), vec![frame(CONTINUATION, 0, 0); 2].concat()]), Err(Breach::Continuations));
}

#[test]
fn another_period_counts_anew() {
    let mut frames = Frames::of_client();
    frames.see(PREFACE, 0, &LIMITS).unwrap();
    for n in 0..10 {
        assert_eq!(frames.see(&frame(RST_STREAM, 0, 4).repeat(2), n * PERIOD_MS, &LIMITS), Ok(()));
    }
}

#[test]
fn frames_have_the_length_of_their_kind() {
    for (kind, flags, len) in [
        (PRIORITY, 0, 4),
        (RST_STREAM, 0, 3),
        (SETTINGS, 0, 5),
        (SETTINGS, ACK, 6),
        (PING, 0, 6),
        (GOAWAY, 0, 7),
        (WINDOW_UPDATE, 0, 3),
    ] {
        assert_eq!(seen(&[frame(kind, flags, len)]), Err(Breach::Size), "{kind}");
    }
    assert_eq!(seen(&[frame(SETTINGS, ACK, 0), frame(GOAWAY, 0, 20)]), Ok(()));
}

#[test]
fn a_window_has_31_bits() {
    let settings = |first| of_stream(0, SETTINGS, 0, &[0, 3, 0xff, 0, 0, 0, 0, 4, first, 0, 0, 0]);
    assert_eq!(seen(&[settings(0x7f)]), Ok(()));
    assert_eq!(seen(&[settings(0x80)]), Err(Breach::Window));
}

#[test]
fn behind_its_end_nothing_comes_of_a_stream() {
    let get = of_stream(1, HEADERS, 4 | END_STREAM, &[0x82]);
    let reset = [of_stream(1, HEADERS, 4, &[0x82]), of_stream(1, RST_STREAM, 0, &[0; 4])].concat();
    for ended in [get, reset] {
        assert_eq!(seen(&[ended.clone(), of_stream(1, DATA, 0, b"x")]), Err(Breach::Ended));
        assert_eq!(seen(&[ended.clone(), of_stream(1, HEADERS, 4, &[0x82])]), Err(Breach::Ended));
        assert_eq!(seen(&[ended, of_stream(3, HEADERS, 4, &[0x82])]), Ok(()));
    }
    // Within a head others say what is wrong.
    let unended = of_stream(1, HEADERS, END_STREAM, &[0x82]);
    assert_eq!(seen(&[unended, of_stream(1, DATA, 0, b"x")]), Ok(()));
    // Of data that no stream has, others say what is wrong.
    assert_eq!(seen(&vec![of_stream(0, DATA, END_STREAM, b"x"); 3]), Ok(()));
}

#[test]
fn what_comes_before_a_breach_is_good() {
    let (good, bad) = (frame(PING, 0, 8), frame(PING, 0, 9));
    let mut frames = Frames::default();
    assert_eq!(frames.see(&[&good[..], &bad].concat(), 0, &LIMITS), Err((good.len(), Breach::Size)));
    // Its header has begun before.
    let mut frames = Frames::default();
    assert_eq!(frames.see(&bad[..5], 0, &LIMITS), Ok(()));
    assert_eq!(frames.see(&bad[5..], 0, &LIMITS), Err((0, Breach::Size)));
}
