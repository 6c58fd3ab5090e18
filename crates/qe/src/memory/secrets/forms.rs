//! What credentials look like: forms that their issuers made recognisable, and two that their surroundings give away.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

/// A credential and where it stands, as bytes of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) what: &'static str,
    pub(super) range: Range<usize>,
}

/// A fixed prefix at the start of a word, and a run of the right characters behind it.
struct Form {
    /// What it is, with its article, for messages.
    what: &'static str,
    prefix: &'static str,
    /// Letters and digits, and which further characters, may follow.
    also: &'static str,
    /// How many must follow at least.
    at_least: usize,
    /// Quotes, blanks and signs of assignment may stand between: the prefix is a name, and no part of the secret.
    is_named: bool,
}

const fn form(what: &'static str, prefix: &'static str, also: &'static str, at_least: usize) -> Form {
    Form { what, prefix, also, at_least, is_named: false }
}

const fn named(what: &'static str, prefix: &'static str, also: &'static str, at_least: usize) -> Form {
    Form { what, prefix, also, at_least, is_named: true }
}

/// Lengths are the issuers' own where they are fixed, and well below them where they vary.
const FORMS: &[Form] = &[
    form("an AWS access key id", "AKIA", "", 16),
    form("an AWS access key id", "ASIA", "", 16),
    named("an AWS secret access key", "aws_secret_access_key", "/+=", 40),
    named("an AWS secret access key", "AWS_SECRET_ACCESS_KEY", "/+=", 40),
    named("an AWS secret access key", "SecretAccessKey", "/+=", 40),
    named("an Azure storage key", "AccountKey", "/+=", 80),
    form("a GitHub token", "ghp_", "", 36),
    form("a GitHub token", "gho_", "", 36),
    form("a GitHub token", "ghu_", "", 36),
    form("a GitHub token", "ghs_", "", 36),
    form("a GitHub token", "ghr_", "", 36),
    form("a GitHub token", "github_pat_", "_", 60),
    form("a GitLab token", "glpat-", "-_.", 20),
    form("a Slack token", "xoxb-", "-", 24),
    form("a Slack token", "xoxp-", "-", 24),
    form("a Slack token", "xoxa-", "-", 24),
    form("a Slack token", "xapp-", "-", 24),
    form("a Slack webhook", "hooks.slack.com/services/", "/", 40),
    form("an Anthropic API key", "sk-ant-", "-_", 40),
    form("an OpenAI API key", "sk-proj-", "-_", 40),
    form("an OpenAI API key", "sk-svcacct-", "-_", 40),
    form("an OpenAI API key", "sk-", "", 48),
    form("a Google API key", "AIza", "-_", 35),
    form("a Google OAuth secret", "GOCSPX-", "-_", 28),
    form("a Google OAuth token", "ya29.", "-_.", 60),
    form("a Stripe live key", "sk_live_", "", 24),
    form("a Stripe live key", "rk_live_", "", 24),
    form("a SendGrid API key", "SG.", "-_.", 66),
    form("a Hugging Face token", "hf_", "", 34),
    form("a DigitalOcean token", "dop_v1_", "", 64),
    form("a Docker token", "dckr_pat_", "-_", 27),
    form("a Vault token", "hvs.", "-_", 90),
    form("an npm token", "npm_", "", 36),
    form("a PyPI token", "pypi-AgEIcHlwaS5vcmc", "-_", 40),
    form("an age secret key", "AGE-SECRET-KEY-1", "", 58),
];

static FINDERS: LazyLock<Vec<(Finder<'static>, &'static Form)>> =
    LazyLock::new(|| FORMS.iter().map(|form| (Finder::new(form.prefix), form)).collect());

/// Characters that a name and its value may have between them, in JSON within JSON too.
const BETWEEN: &[u8] = b" \t\"'`=:\\";
/// How many of them.
const BETWEEN_MAX: usize = 12;

/// Different characters of a token; fewer are a placeholder, such as `xxxx`.
const DISTINCT_MIN: usize = 4;

/// All credentials of the text, in no order; one may be found twice.
pub(super) fn all(text: &str) -> impl Iterator<Item = Found> {
    let bytes = text.as_bytes();
    let formed = FINDERS
        .iter()
        .flat_map(move |(finder, form)| finder.find_iter(bytes).filter_map(move |at| form.at(bytes, at)));
    let places = |needle: &'static str| memchr::memmem::find_iter(bytes, needle.as_bytes());
    let keys = places("-----BEGIN ").filter_map(move |at| private_key(text, at));
    let tokens = places("eyJ").filter_map(move |at| web_token(bytes, at));
    let passwords = places("://").filter_map(move |at| password(text, at + 3));
    formed.chain(keys).chain(tokens).chain(passwords)
}

impl Form {
    fn at(&self, text: &[u8], at: usize) -> Option<Found> {
        let mut start = at + self.prefix.len();
        if self.is_named {
            start += run(&text[start..], |byte| BETWEEN.contains(&byte)).min(BETWEEN_MAX);
            // An escape in JSON is not taken apart.
            if escapes(text, start) % 2 == 1 {
                start += if text.get(start) == Some(&b'u') { 5 } else { 1 };
            }
        } else if !starts_a_word(text, at) {
            return None;
        }
        let also = self.also.as_bytes();
        let rest = text.get(start..)?;
        let length = run(rest, |byte| byte.is_ascii_alphanumeric() || also.contains(&byte));
        let token = &rest[..length];
        if token.len() < self.at_least || is_placeholder(token) {
            return None;
        }
        let range = if self.is_named { start..start + length } else { at..start + length };
        Some(Found { what: self.what, range })
    }
}

/// A JSON Web Token: three parts, of which the first two are objects.
fn web_token(text: &[u8], at: usize) -> Option<Found> {
    const PART_MIN: usize = 10;
    let length = run(&text[at..], |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let token = &text[at..at + length];
    let parts: Vec<&[u8]> = token.split(|&byte| byte == b'.').collect();
    let fits = parts.len() == 3
        && parts[1].starts_with(b"eyJ")
        && parts.iter().all(|part| part.len() >= PART_MIN)
        && starts_a_word(text, at);
    fits.then(|| Found { what: "a JSON Web Token", range: at..at + length })
}

/// A private key in PEM or OpenPGP's armour, to its end or that of the text in JSON that it stands in. What only mentions
/// one has no lines of base64 behind it.
fn private_key(text: &str, at: usize) -> Option<Found> {
    const LINE_MIN: usize = 40;
    let bytes = text.as_bytes();
    let label = &text[at + "-----BEGIN ".len()..];
    let label = &label[..label.find("-----")?];
    let is_name =
        label.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    if !is_name || !(label.ends_with("PRIVATE KEY") || label == "PGP PRIVATE KEY BLOCK") {
        return None;
    }
    let body = at + "-----BEGIN ".len() + label.len() + "-----".len();
    let quote = memchr::memchr_iter(b'"', &bytes[body..])
        .map(|quote| body + quote)
        .find(|&quote| escapes(bytes, quote).is_multiple_of(2))
        .unwrap_or(text.len());
    let end = text[body..quote].find("-----END").map_or(quote, |end| {
        let end = body + end + "-----END".len();
        text[end..quote].find("-----").map_or(quote, |rest| end + rest + "-----".len())
    });
    let is_line = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    let longest = bytes[body..end].split(|&byte| !is_line(byte)).map(<[u8]>::len).max();
    (longest? >= LINE_MIN).then_some(Found { what: "a private key", range: at..end })
}

/// The password of `scheme://user:password@host`, if it is more than a word.
fn password(text: &str, from: usize) -> Option<Found> {
    const USER_INFO_MAX: usize = 256;
    const PASSWORD_MIN: usize = 8;
    let ends = |c: char| c.is_whitespace() || c.is_control() || "/?#\"'<>\\`()[]{}|^,;".contains(c);
    let info = &text[from..];
    let info = &info[..info.find(ends).unwrap_or(info.len())];
    let at = info.rfind('@').filter(|&at| at <= USER_INFO_MAX)?;
    let (user, password) = info[..at].split_once(':')?;
    let has = |kind: fn(&u8) -> bool| password.bytes().any(|byte| kind(&byte));
    let is_more_than_a_word = has(u8::is_ascii_alphabetic) && has(|byte| !byte.is_ascii_alphabetic());
    let is_reference = password.starts_with(['$', '*', '%', '_']) || is_placeholder(password.as_bytes());
    if password.len() < PASSWORD_MIN || !is_more_than_a_word || is_reference {
        return None;
    }
    let start = from + user.len() + 1;
    Some(Found { what: "a password in a URL", range: start..start + password.len() })
}

/// Documentation shows made-up credentials that say so, or that repeat a letter.
fn is_placeholder(token: &[u8]) -> bool {
    let mut seen = [false; 256];
    for &byte in token {
        seen[usize::from(byte)] = true;
    }
    let distinct = seen.iter().filter(|&&seen| seen).count();
    distinct < DISTINCT_MIN || memchr::memmem::find(&token.to_ascii_uppercase(), b"EXAMPLE").is_some()
}

fn run(text: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|&byte| !belongs(byte)).unwrap_or(text.len())
}

/// Whether no word reaches up to here. The letter of an escape in JSON (`\n`) belongs to none; in JSON within
/// JSON it has more backslashes.
fn starts_a_word(text: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else { return true };
    !text[before].is_ascii_alphanumeric() || (b"nrtbf".contains(&text[before]) && escapes(text, before) > 0)
}

/// Backslashes directly before a place.
fn escapes(text: &[u8], at: usize) -> usize {
    text[..at].iter().rev().take_while(|&&byte| byte == b'\\').count()
}

/// Prefixes for tests.
#[cfg(test)]
pub(super) fn samples() -> impl Iterator<Item = (&'static str, String)> {
    FORMS.iter().map(|form| {
        let between = if form.is_named { "=" } else { "" };
        (form.what, format!("{}{between}{}", form.prefix, "A1b2".repeat(25)))
    })
}
