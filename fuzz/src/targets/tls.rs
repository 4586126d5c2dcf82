//! TLS as it comes from a peer: the first message of a client, and the records of an established connection.

use lockgate::tls::handshake::Hello;
use lockgate::tls::record::{self, AFTER_BYTES, BEFORE_BYTES, CONTENT_BYTES, Content, Opener, Sealer};
use rustls::{ConnectionTrafficSecrets, ProtocolVersion};

use super::{Judgement, same};
use crate::random::Random;

/// A client's first message is read the same, however it is cut.
pub fn judge_hello(input: &[u8]) -> Judgement {
    let mut random = Random::of(input);
    let at_once = read_hello(input, &[input.len()]);
    for _ in 0..2 {
        let cuts = random.cuts(input.len());
        same("in pieces and at once", read_hello(input, &cuts), at_once.clone()).map_err(|e| format!("cut at {cuts:?}: {e}"))?;
    }
    Ok(match at_once {
        Ok(Some(Some(_))) => "a name".into(),
        Ok(Some(None)) => "no name".into(),
        Ok(None) => "more is wanted".into(),
        Err(()) => "refused".into(),
    })
}

type Read = Result<Option<Option<String>>, ()>;

fn read_hello(input: &[u8], cuts: &[usize]) -> Read {
    let mut hello = Hello::default();
    for &cut in cuts {
        match hello.read(&input[..cut]) {
            Ok(None) => {}
            Ok(name) => return Ok(name),
            Err(_) => return Err(()),
        }
    }
    Ok(None)
}

/// Version and cipher: every layout of a record.
fn secrets(choice: u8) -> (ProtocolVersion, ConnectionTrafficSecrets) {
    let (key, iv) = ([7; 32].into(), [9; 12].into());
    let version = if choice & 1 == 0 { ProtocolVersion::TLSv1_3 } else { ProtocolVersion::TLSv1_2 };
    match choice & 2 {
        0 => (version, ConnectionTrafficSecrets::Aes256Gcm { key, iv }),
        _ => (version, ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }),
    }
}

fn opener(choice: u8) -> Result<Opener, String> {
    let (version, secrets) = secrets(choice);
    Opener::new(version, 0, &secrets).map_err(|error| error.to_string())
}

fn sealer(choice: u8) -> Result<Sealer, String> {
    let (version, secrets) = secrets(choice);
    Sealer::new(version, 0, &secrets).map_err(|error| error.to_string())
}

/// The first byte says which version and cipher; what follows is taken for records, and for content.
pub fn judge_records(input: &[u8]) -> Judgement {
    let Some((&choice, bytes)) = input.split_first() else { return Ok("nothing".into()) };
    let forged = forged(choice, bytes)?;
    round_trip(choice, &bytes[..bytes.len().min(CONTENT_BYTES)])?;
    Ok(forged)
}

/// Nobody without the key makes a record with anything in it; and both ways to open one agree.
fn forged(choice: u8, mut bytes: &[u8]) -> Judgement {
    let (mut in_place, mut beside) = (opener(choice)?, opener(choice)?);
    let mut out = vec![0; record::RECORD_BYTES];
    loop {
        let length = match record::length(bytes) {
            Ok(Some(length)) if length <= bytes.len() => length,
            Ok(_) => return Ok("no whole record".into()),
            Err(error) => return Ok(error.to_string()),
        };
        let (whole, rest) = bytes.split_at(length);
        let mut copy = whole.to_vec();
        let opened = in_place.open_in_place(&mut copy).map(|(content, range)| (content, range.len()));
        same("in place and beside", opened, beside.open_to(whole, &mut out))?;
        match opened {
            Ok((Content::ChangeCipherSpec, 0)) => bytes = rest,
            Ok(opened) => return Err(format!("a record of nobody's was opened: {opened:?}")),
            Err(error) => return Ok(error.to_string()),
        }
    }
}

/// What is sealed is opened as it was, and not at all once a bit of it has changed.
fn round_trip(choice: u8, content: &[u8]) -> Result<(), String> {
    let failed = |error: lockgate::tls::Error| error.to_string();
    let mut sealed = vec![0; BEFORE_BYTES + content.len() + AFTER_BYTES];
    let length = sealer(choice)?.seal_to(Content::Data, content, &mut sealed).map_err(failed)?;
    sealed.truncate(length);
    let mut sealer = sealer(choice)?;
    let mut in_place = vec![0; sealer.overhead().0];
    in_place.extend_from_slice(content);
    in_place.resize(in_place.len() + sealer.overhead().1, 0);
    sealer.seal_in_place(Content::Data, &mut in_place).map_err(failed)?;
    same("sealed in place and beside", &in_place, &sealed)?;
    same("the length that its header says", record::length(&sealed), Ok(Some(sealed.len())))?;

    let (kind, range) = opener(choice)?.open_in_place(&mut in_place).map_err(failed)?;
    same("opened", (kind, &in_place[range]), (Content::Data, content))?;
    // The version in the header means nothing (RFC 8446, section 5.1), and the length is what the record was cut by.
    let mut random = Random::of(content);
    let at = Some(random.below(sealed.len())).filter(|at| !(1..5).contains(at)).unwrap_or(0);
    sealed[at] ^= 1 << random.below(8);
    match opener(choice)?.open_in_place(&mut sealed) {
        Ok(_) => Err(format!("byte {at} was changed, and the record opened")),
        Err(_) => Ok(()),
    }
}
