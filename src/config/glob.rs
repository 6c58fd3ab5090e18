//! Patterns for tool names: `*` for any characters, `?` for one.

use std::fmt;

/// Longest pattern, characters; tool names have at most 64.
const MAX_PATTERN: usize = 128;

/// A pattern for the names of tools.
#[derive(Clone, PartialEq, Eq)]
pub struct Glob(Box<str>);

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Glob {
    /// Checks a pattern. The error completes a sentence that begins with the pattern.
    pub fn new(pattern: &str) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err("is an empty pattern, which fits nothing".to_owned());
        }
        if pattern.chars().count() > MAX_PATTERN {
            return Err(format!("is longer than {MAX_PATTERN} characters"));
        }
        if let Some(c) = pattern.chars().find(|c| "[]{}!\\".contains(*c) || c.is_control()) {
            return Err(format!("holds {c:?}; patterns know only * and ?"));
        }
        Ok(Self(pattern.into()))
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `name` fits. Takes at most pattern × name steps, whatever the pattern.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // Where to resume after the last star, should what follows it not fit: one character later.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(b'?') => {
                    p += 1;
                    n += char_len(name[n]);
                }
                Some(c) if *c == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => match star {
                    Some((at, from)) => {
                        star = Some((at, from + 1));
                        p = at + 1;
                        n = from + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|c| *c == b'*')
    }
}

/// Bytes of the UTF-8 character that starts with `first`.
fn char_len(first: u8) -> usize {
    match first.leading_ones() {
        0 | 1 => 1,
        n => n as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn a_pattern_fits_whole_names_only() {
        for (pattern, name, fits) in [
            ("read", "read", true),
            ("read", "read_file", false),
            ("read*", "read", true),
            ("read*", "read_file", true),
            ("*file", "read_file", true),
            ("*_*_*", "a_b_c", true),
            ("*_*_*", "a_b", false),
            ("r?ad", "read", true),
            ("r?ad", "rad", false),
            ("*", "", true),
            ("?", "é", true),
            ("*ab", "aab", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends() {
        let pattern = "a*".repeat(60) + "b";
        assert!(!Glob::new(&pattern).unwrap().matches(&"a".repeat(10_000)));
    }
}
