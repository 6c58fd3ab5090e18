//! Credentials noticed before they are stored.
//!
//! Only forms that their issuers made recognisable, so that ordinary text is never refused: a fixed
//! prefix at the start of a word and enough of the right characters behind it. Passwords and random
//! strings without such a form are not noticed.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// One recognisable form.
struct Form {
    /// What it is, for the message.
    what: &'static str,
    prefix: &'static str,
    /// Letters and digits, and which further characters, may follow.
    also: &'static str,
    /// How many must follow at least.
    at_least: usize,
}

const fn form(what: &'static str, prefix: &'static str, also: &'static str, at_least: usize) -> Form {
    Form { what, prefix, also, at_least }
}

/// Lengths are the issuers' own where they are fixed, and well below them where they vary.
const FORMS: &[Form] = &[
    form("an AWS access key id", "AKIA", "", 16),
    form("an AWS access key id", "ASIA", "", 16),
    form("a GitHub token", "ghp_", "", 36),
    form("a GitHub token", "gho_", "", 36),
    form("a GitHub token", "ghu_", "", 36),
    form("a GitHub token", "ghs_", "", 36),
    form("a GitHub token", "ghr_", "", 36),
    form("a GitHub token", "github_pat_", "_", 60),
    form("a GitLab token", "glpat-", "-_", 20),
    form("a Slack token", "xoxb-", "-", 24),
    form("a Slack token", "xoxp-", "-", 24),
    form("an Anthropic API key", "sk-ant-", "-_", 40),
    form("an OpenAI API key", "sk-proj-", "-_", 40),
    form("a Google API key", "AIza", "-_", 35),
    form("a Stripe live key", "sk_live_", "", 24),
    form("an npm token", "npm_", "", 36),
    form("a PyPI token", "pypi-AgEIcHlwaS5vcmc", "-_", 40),
    form("a private key", "-----BEGIN PRIVATE KEY-----", "", 0),
    form("a private key", "-----BEGIN RSA PRIVATE KEY-----", "", 0),
    form("a private key", "-----BEGIN EC PRIVATE KEY-----", "", 0),
    form("a private key", "-----BEGIN OPENSSH PRIVATE KEY-----", "", 0),
    form("a private key", "-----BEGIN ENCRYPTED PRIVATE KEY-----", "", 0),
];

static FINDERS: LazyLock<Vec<(Finder<'static>, &'static Form)>> =
    LazyLock::new(|| FORMS.iter().map(|form| (Finder::new(form.prefix), form)).collect());

/// What credential the text contains, if it contains one of a known form.
pub(crate) fn find(text: &str) -> Option<&'static str> {
    let text = text.as_bytes();
    FINDERS
        .iter()
        .find(|(finder, form)| finder.find_iter(text).any(|at| form.matches(text, at)))
        .map(|(_, form)| form.what)
}

impl Form {
    fn matches(&self, text: &[u8], at: usize) -> bool {
        let starts_a_word = at.checked_sub(1).is_none_or(|before| !text[before].is_ascii_alphanumeric());
        let rest = &text[at + self.prefix.len()..];
        let token = rest
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric() && !self.also.as_bytes().contains(byte))
            .map_or(rest, |end| &rest[..end]);
        // Documentation shows made-up credentials that say so.
        starts_a_word && token.len() >= self.at_least && !token.ends_with(b"EXAMPLE")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_noticed_wherever_it_stands_in_a_value() {
        for form in FORMS {
            let secret = format!("{}{}", form.prefix, "A1b2".repeat(20));
            for text in [secret.clone(), format!("{{\"token\":\"{secret}\"}}"), format!("x={secret}\\n")] {
                assert_eq!(find(&text), Some(form.what), "{text}");
            }
        }
    }

    #[test]
    fn ordinary_text_is_not_taken_for_a_secret() {
        for text in [
            "",
            "use sk-proj-… keys; tokens start with ghp_ or AKIA",
            "AKIAIOSFODNN7EXAMPLE",
            "npm_config_registry and npm_lifecycle_event",
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----",
            "TAKIABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "sha256-0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
        ] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
