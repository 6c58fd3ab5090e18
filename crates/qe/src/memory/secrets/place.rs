//! Where in a JSON text something stands.

/// The paths of the strings in which these bytes stand (in rising order), as JSON Pointers (RFC 6901) with keys as they are
/// written. The text is valid JSON.
pub(super) fn pointers(json: &str, places: &[usize]) -> Vec<String> {
    let bytes = json.as_bytes();
    let mut path: Vec<Step> = Vec::new();
    let mut wanted = places.iter().copied().peekable();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() && wanted.peek().is_some() {
        match bytes[at] {
            b'{' => path.push(Step::Member { key: String::new(), is_next: true }),
            b'[' => path.push(Step::Item(0)),
            b'}' | b']' => drop(path.pop()),
            b',' => match path.last_mut() {
                Some(Step::Member { is_next, .. }) => *is_next = true,
                Some(Step::Item(item)) => *item += 1,
                None => {}
            },
            b'"' => {
                let end = string_end(bytes, at);
                if let Some(Step::Member { key, is_next: is_next @ true }) = path.last_mut() {
                    *is_next = false;
                    *key = json[at + 1..end - 1].replace('~', "~0").replace('/', "~1");
                }
                while wanted.next_if(|&place| place < end).is_some() {
                    found.push(path.iter().map(Step::to_string).collect());
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

enum Step {
    Member {
        key: String,
        /// Whether the next string is a key.
        is_next: bool,
    },
    Item(usize),
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Member { key, .. } => write!(f, "/{key}"),
            Self::Item(item) => write!(f, "/{item}"),
        }
    }
}

/// Behind the closing quote of the string that begins here.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_by_the_way_to_it() {
        let json = r#"{"a": [1, {"b/c":"X"}, "Y,[{\"]"], "d~": "Z", "W": {}, "e": true}"#;
        let places: Vec<usize> = ["X", "Y", "Z", "W"].iter().map(|mark| json.find(mark).unwrap()).collect();
        assert_eq!(pointers(json, &places), ["/a/1/b~1c", "/a/2", "/d~0", "/W"]);
        assert_eq!(pointers(r#""X X""#, &[1, 3]), ["", ""]);
    }
}
