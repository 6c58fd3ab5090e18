//! What the beginning of a long message tells of it.

use super::super::push::{Mark, PushScanner};
use super::super::{decode_string, line_safe};
use super::MAX_SEEN;

/// What a message is, as far as its beginning tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// A response whose result has begun; with its id (raw JSON) if that came before.
    Result(Option<String>),
    /// Something else, or not to be told yet.
    Other,
}

impl Beginning {
    /// Reads the beginning of a text.
    pub fn of(text: &[u8], max_depth: u16) -> Self {
        Self::read(text, max_depth).unwrap_or(Self::Other)
    }

    fn read(text: &[u8], max_depth: u16) -> Option<Self> {
        let mut scanner = PushScanner::new(max_depth);
        scanner.watch(1);
        scanner.begin(text).ok()?;
        let (mut at, mut from) = (0, 0);
        let (mut key, mut id) = (String::new(), None);
        while let Some(place) = scanner.next(text, &mut at).ok()? {
            let short = || text.get(from..place.at).filter(|short| short.len() <= MAX_SEEN);
            match (place.mark, place.depth) {
                (Mark::Value, 0) if text[place.at] != b'{' => return None,
                (Mark::Key, 1) => from = place.at + 1,
                (Mark::KeyEnd, 1) => {
                    let raw = short().and_then(|raw| raw.strip_suffix(b"\""));
                    key = raw.map(decode_string).unwrap_or_default().into_owned();
                }
                (Mark::Value, 1) => {
                    from = place.at;
                    match &*key {
                        "result" if text[place.at] == b'{' => return Some(Self::Result(id)),
                        "result" | "method" | "params" | "error" => return None,
                        _ => {}
                    }
                }
                (Mark::End, 1) if key == "id" => {
                    id = short().and_then(|raw| String::from_utf8(line_safe(raw.to_vec())).ok());
                }
                _ => {}
            }
        }
        None
    }
}

/// Whether an id (raw JSON) is this one: the number that we sent, or as some servers re-encode it (`7.0`, `"7"`).
pub fn answers_to(raw: &str, id: u64) -> bool {
    let raw = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw);
    raw.parse() == Ok(id) || raw.strip_suffix(".0").is_some_and(|raw| raw.parse() == Ok(id))
}
