//! The query of a URL, within bounds and without surprises.

use super::Refused;

/// Longest query in bytes.
const MAX_BYTES: usize = 4 * 1024;

/// The parameters of a request, each at most once.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Reads a query that may hold the parameters in `known` and no others.
    pub(super) fn parse(text: &str, known: &[&'static str]) -> Result<Self, Refused> {
        if text.len() > MAX_BYTES {
            return Err(Refused::bad(format!("a query may have {MAX_BYTES} bytes")));
        }
        let mut found = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = known.iter().copied().find(|known| *known == name) else {
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                return Err(Refused::bad(format!("unknown parameter in the query; known: {known}")));
            };
            if found.get(name).is_some() {
                return Err(Refused::bad(format!("\"{name}\" is given twice")));
            }
            let value = decode(value)
                .ok_or_else(|| Refused::bad(format!("\"{name}\" is not percent-encoded UTF-8")))?;
            found.0.push((name, value));
        }
        Ok(found)
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// Undoes percent-encoding (RFC 3986, 2.1), and `+` for a space, as forms write it.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let [high, low, after @ ..] = rest else { return None };
                rest = after;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_values_arrive_as_they_were_meant() {
        let query = Query::parse("name=a%20b%2Bc+d&prefix=", &["name", "prefix"]).unwrap();
        assert_eq!(query.get("name"), Some("a b+c d"));
        assert_eq!(query.get("prefix"), Some(""));
        assert_eq!(Query::parse("", &["name"]).unwrap().get("name"), None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let long = format!("name={}", "x".repeat(MAX_BYTES));
        for bad in ["nam=x", "name=a&name=b", "name=%", "name=%4", "name=%zz", "name=%+1", "name=%ff", &long]
        {
            assert!(Query::parse(bad, &["name"]).is_err(), "{bad}");
        }
    }
}
