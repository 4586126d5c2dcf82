//! Path and parameters as clients are known to sign them: a handful of habits, in all their combinations.

use super::super::charset::is_form;
use super::super::parameters::{pairs, utf16_order};
use super::super::percent::{decode_parameter, decode_path};
use super::super::string_to_sign::Message;

/// How a client writes path and parameters. The first of each list is the rule; every other choice is a mistake.
#[derive(Clone, Copy)]
struct Habit {
    path: &'static str,
    decoded: &'static str,
    sorted: &'static str,
    repeated: &'static str,
    empty: &'static str,
    form: &'static str,
}

const RULE: &str = "";
const RAW_PATH: &str = "the path was signed percent-encoded";
const NO_BASE_PATH: &str = "the path was signed without the base path of the group";
const OTHER_SLASH: &str = "the path was signed with another slash at its end than it is sent with";
const ENCODED: &str = "parameters were signed percent-encoded; they must be decoded";
const UNSORTED: &str = "parameters were not sorted by name";
const LAST: &str = "of a repeated parameter the last value was signed; it must be the first";
const JOINED: &str = "values of a repeated parameter were signed joined by commas; only the first counts";
const ALL: &str = "every value of a repeated parameter was signed; only the first counts";
const EQUALS: &str = "empty parameters were signed as `k=`; it must be `k`";
const DROPPED: &str = "empty parameters were left out; they must be signed as `k`";
const NO_FORM: &str = "parameters of the form body were left out";
const NO_QUERY: &str = "parameters of the query were left out";
const NEITHER: &str = "query and form parameters were left out";
const QUERY_WINS: &str = "the query's value of a parameter was signed instead of the form's";
const BODY_AS_FORM: &str = "the body was signed as a form, but its Content-Type is not application/x-www-form-urlencoded";
const RAW_BODY: &str = "the body was signed as it is, after the parameters";

/// A parameter as the habit reads it.
type Pair = (Vec<u8>, Vec<u8>);

/// Every text that some combination of habits makes, with the mistakes in it.
pub(super) fn guesses(message: &Message<'_>, base_paths: &[&str]) -> Vec<(Vec<u8>, Vec<String>)> {
    let [_, _, content_type, _] = message.fields;
    let forms: &[&str] = match message.body {
        Some([]) | None => &[RULE, NO_QUERY],
        Some(_) if is_form(content_type) => &[RULE, NO_FORM, NO_QUERY, NEITHER, QUERY_WINS, RAW_BODY],
        Some(_) => &[RULE, NO_QUERY, BODY_AS_FORM, RAW_BODY],
    };
    let mut guesses = Vec::new();
    for path in [RULE, RAW_PATH, NO_BASE_PATH, OTHER_SLASH] {
        for decoded in [RULE, ENCODED] {
            for sorted in [RULE, UNSORTED] {
                for repeated in [RULE, LAST, JOINED, ALL] {
                    for empty in [RULE, EQUALS, DROPPED] {
                        for &form in forms {
                            let habit = Habit { path, decoded, sorted, repeated, empty, form };
                            guesses.extend(habit.write(message, base_paths).map(|text| (text, habit.mistakes())));
                        }
                    }
                }
            }
        }
    }
    guesses
}

impl Habit {
    fn mistakes(&self) -> Vec<String> {
        let all = [self.path, self.decoded, self.sorted, self.repeated, self.empty, self.form];
        all.into_iter().filter(|mistake| *mistake != RULE).map(str::to_owned).collect()
    }

    fn write(&self, message: &Message<'_>, base_paths: &[&str]) -> Option<Vec<u8>> {
        let mut text = self.path(message, base_paths)?;
        let mut separator = b'?';
        for (name, value) in self.pairs(message)? {
            text.push(separator);
            separator = b'&';
            text.extend(name);
            if !value.is_empty() || self.empty == EQUALS {
                text.push(b'=');
            }
            text.extend(value);
        }
        if self.form == RAW_BODY {
            text.extend_from_slice(message.body?);
        }
        Some(text)
    }

    fn path(&self, message: &Message<'_>, base_paths: &[&str]) -> Option<Vec<u8>> {
        let mut path = Vec::new();
        decode_path(message.path, &mut path).ok()?;
        match self.path {
            RAW_PATH => Some(message.path.to_vec()),
            NO_BASE_PATH => {
                let rest =
                    base_paths.iter().filter(|base| !base.is_empty()).find_map(|base| path.strip_prefix(base.as_bytes()))?;
                Some(if rest.is_empty() { b"/".to_vec() } else { rest.to_vec() })
            }
            OTHER_SLASH => match path.strip_suffix(b"/") {
                Some(shorter) => Some(shorter.to_vec()),
                None => Some([&path, &b"/"[..]].concat()),
            },
            _ => Some(path),
        }
    }

    fn pairs(&self, message: &Message<'_>) -> Option<Vec<Pair>> {
        let [_, _, content_type, _] = message.fields;
        let with_form = match self.form {
            NO_FORM | NEITHER | RAW_BODY => false,
            BODY_AS_FORM => true,
            _ => is_form(content_type),
        };
        let query = if matches!(self.form, NO_QUERY | NEITHER) { None } else { message.query };
        let form = if with_form { message.body } else { None };
        let sources = if self.form == QUERY_WINS || self.sorted == UNSORTED { [query, form] } else { [form, query] };

        let mut read: Vec<Pair> = Vec::new();
        for (name, value) in sources.into_iter().flatten().flat_map(pairs) {
            let (name, value) = (self.read(name)?, self.read(value)?);
            let dropped = value.is_empty() && self.empty == DROPPED;
            if !name.is_empty() && !dropped {
                read.push((name, value));
            }
        }
        let mut kept: Vec<Pair> = Vec::new();
        for (name, value) in read {
            match kept.iter_mut().find(|(known, _)| *known == name) {
                Some((_, first)) if self.repeated == LAST => *first = value,
                Some((_, first)) if self.repeated == JOINED => *first = [&first[..], b",", &value].concat(),
                Some(_) if self.repeated != ALL => {}
                _ => kept.push((name, value)),
            }
        }
        if self.sorted == RULE {
            kept.sort_by(|(a, _), (b, _)| utf16_order(a, b));
        }
        Some(kept)
    }

    fn read(&self, text: &[u8]) -> Option<Vec<u8>> {
        if self.decoded == ENCODED {
            return Some(text.to_vec());
        }
        let mut decoded = Vec::new();
        decode_parameter(text, &mut decoded).ok()?;
        Some(decoded)
    }
}
