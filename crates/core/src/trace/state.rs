//! `tracestate`: what vendors have to say of a trace (level 1, section 3.3).

use std::borrow::Cow;

/// Members of one list.
const MAX_MEMBERS: usize = 32;
/// So many bytes are passed on in any case, and no more (section 3.3.1.5).
pub const MAX_STATE_BYTES: usize = 512;
/// What is longer goes first where something has to.
const LONG_MEMBER_BYTES: usize = 128;

/// Whether a text is a list of members as the grammar has it: at most 32, no key twice. Empty members are allowed, an
/// empty list is not one.
pub fn is_state(text: &str) -> bool {
    let mut keys: [&str; MAX_MEMBERS] = [""; MAX_MEMBERS];
    let mut count = 0;
    for member in members(text) {
        let Some((key, value)) = member.split_once('=') else { return false };
        if count == MAX_MEMBERS || !is_key(key) || !is_value(value) || keys[..count].contains(&key) {
            return false;
        }
        keys[count] = key;
        count += 1;
    }
    count > 0
}

/// The list within [`MAX_STATE_BYTES`]: without its long members, and then without its last ones, which are the oldest.
pub fn shortened_state(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_STATE_BYTES {
        return Cow::Borrowed(text);
    }
    let mut list: Vec<&str> = members(text).collect();
    let mut length = list.iter().map(|member| member.len() + 1).sum::<usize>().saturating_sub(1);
    let mut shorten = |list: &mut Vec<&str>, may_go: fn(&str) -> bool| {
        for at in (0..list.len()).rev() {
            if length <= MAX_STATE_BYTES {
                return;
            }
            if may_go(list[at]) {
                length = length.saturating_sub(list.remove(at).len() + 1);
            }
        }
    };
    shorten(&mut list, |member| member.len() > LONG_MEMBER_BYTES);
    shorten(&mut list, |_| true);
    Cow::Owned(list.join(","))
}

/// The members that are not empty, without the white space around them.
fn members(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty())
}

fn is_key(key: &str) -> bool {
    match key.split_once('@') {
        None => begins_with(key, u8::is_ascii_lowercase) && is_rest(key) && key.len() <= 256,
        Some((tenant, system)) => {
            begins_with(tenant, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                && is_rest(tenant)
                && tenant.len() <= 241
                && begins_with(system, u8::is_ascii_lowercase)
                && is_rest(system)
                && system.len() <= 14
        }
    }
}

fn begins_with(text: &str, allowed: impl Fn(&u8) -> bool) -> bool {
    text.as_bytes().first().is_some_and(allowed)
}

fn is_rest(text: &str) -> bool {
    text.bytes().all(|byte| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/')
    })
}

/// Printable, without comma and equals sign, and not ending in a space.
fn is_value(value: &str) -> bool {
    let printable = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    (1..=256).contains(&value.len()) && value.bytes().all(printable) && !value.ends_with(' ')
}
