//! Name patterns for allow and deny lists.

use std::fmt;

/// A pattern over whole names: `*` stands for any characters, `?` for one; all others, case included, for themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Box<str>);

impl Glob {
    /// Every text is a pattern.
    pub fn new(pattern: impl Into<Box<str>>) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole of `name` matches. Takes at most `pattern × name` steps and no memory.
    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), name.chars());
        // Where to go on when a later character does not match: after the last `*`, one character further.
        let mut retry = None;
        loop {
            let rest_before = rest.clone();
            match (pattern.next(), rest.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    retry = Some((pattern.clone(), rest_before.clone()));
                    rest = rest_before;
                }
                (Some('?'), Some(_)) => {}
                (Some(wanted), Some(given)) if wanted == given => {}
                _ => {
                    let Some((after_star, mut from)) = retry.take() else { return false };
                    if from.next().is_none() {
                        return false;
                    }
                    retry = Some((after_star.clone(), from.clone()));
                    (pattern, rest) = (after_star, from);
                }
            }
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition of a match, by recursion.
    fn reference(pattern: &[char], name: &[char]) -> bool {
        match (pattern.first(), name.first()) {
            (None, None) => true,
            (Some('*'), None) => reference(&pattern[1..], name),
            (Some('*'), Some(_)) => reference(&pattern[1..], name) || reference(pattern, &name[1..]),
            (Some('?'), Some(_)) => reference(&pattern[1..], &name[1..]),
            (Some(wanted), Some(given)) => wanted == given && reference(&pattern[1..], &name[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matches_as_defined(pattern in "[ab*?]{0,8}", name in "[abü]{0,10}") {
            let wanted = reference(
                &pattern.chars().collect::<Vec<_>>(),
                &name.chars().collect::<Vec<_>>(),
            );
            prop_assert_eq!(Glob::new(pattern).matches(&name), wanted);
        }
    }

    #[test]
    fn many_stars_do_not_take_exponential_time() {
        assert!(!Glob::new("*a".repeat(40) + "b").matches(&"a".repeat(200)));
    }
}
