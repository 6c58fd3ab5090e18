//! What two calls must have in common so that one answer serves both.
//!
//! A [`Key`] is not a hash: it holds the whole question, each part with its length before it. Equal keys are equal
//! questions, so that no collision, made or by chance, can hand one principal what another was told. Only what tells
//! one tool, server and form of answer from another is a digest in it (SHA-256 over definition, server and era),
//! because it is long and known beforehand.
//!
//! `_meta` is no part of the question but for the client's capabilities, which decide what a server may ask for:
//! clients put a new trace, token or call id into it with each call.

use std::fmt;
use std::sync::Arc;

use super::canonical::canonicalize;
use super::place::Place;
use crate::envelope::{MAX_FRAGMENT_DEPTH, ScanError, Scanner};
use crate::revision::Era;

/// Longest key in bytes; longer questions are not kept.
pub const MAX_KEY_BYTES: usize = 64 * 1024;

/// A question as it was asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What is asked.
    pub place: &'a Place,
    /// The era of the client, which decides the form of the answer.
    pub era: Era,
    /// The upstream's own name of the tool or prompt, or the URI of the resource.
    pub name: &'a str,
    /// Raw JSON; empty if there are none.
    pub arguments: &'a [u8],
    /// Raw JSON of the capabilities that the client declares with the request; empty if it declares none.
    pub capabilities: &'a [u8],
    /// Who asks.
    pub principal: &'a str,
}

/// For whom an answer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// For the principal who asked.
    Private,
    /// For everybody.
    Public,
}

/// A question in canonical form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<[u8]>);

impl fmt::Debug for Key {
    /// Arguments may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.0.len())
    }
}

impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Key {
    /// A key from its bytes, as [`Key::as_bytes`] gave them.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The whole of it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The keys under which an answer may be kept: it itself says for whom.
#[derive(Debug)]
pub struct Keys {
    /// The question, and behind it the principal.
    bytes: Vec<u8>,
    /// Length of the question alone.
    asked: usize,
}

impl Keys {
    /// The key for answers of this scope.
    pub fn of(&self, scope: Scope) -> Key {
        match scope {
            Scope::Private => Key(self.bytes.as_slice().into()),
            Scope::Public => Key([&self.bytes[..self.asked], b"*"].concat().into()),
        }
    }
}

/// What of `params` belongs to a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Raw JSON; empty if there are none.
    pub arguments: &'a [u8],
    /// Raw JSON of the client's capabilities; empty if it declares none.
    pub capabilities: &'a [u8],
}

impl<'a> Asked<'a> {
    /// Reads `params`. `None` if they hold anything that is not known to be part of a plain question: answers to an
    /// earlier `input_required` (2026-07-28: such results must not be cached), a wish for a task, or what a later
    /// revision may add.
    pub fn read(params: &'a [u8]) -> Option<Self> {
        let mut asked = Self::default();
        let mut plain = true;
        let mut scanner = Scanner::new(params, MAX_FRAGMENT_DEPTH).ok()?;
        let walk = scanner.object(|scanner, key| {
            match key {
                b"name" | b"uri" => {
                    scanner.value()?;
                }
                b"arguments" => asked.arguments = scanner.value()?.of(params),
                b"_meta" if scanner.peek() == Some(b'{') => {
                    asked.capabilities = capabilities(scanner, params)?;
                }
                _ => {
                    scanner.value()?;
                    plain = false;
                }
            }
            Ok(())
        });
        walk.ok().filter(|_| plain).map(|_| asked)
    }
}

fn capabilities<'a>(scanner: &mut Scanner<'_>, params: &'a [u8]) -> Result<&'a [u8], ScanError> {
    let mut found = &b""[..];
    scanner.object(|scanner, key| {
        let value = scanner.value()?;
        if key == b"io.modelcontextprotocol/clientCapabilities" {
            found = value.of(params);
        }
        Ok(())
    })?;
    Ok(found)
}

impl Question<'_> {
    /// The parts of the question as they were written, without bringing them into canonical form.
    pub(super) fn parts(&self) -> [&[u8]; 5] {
        [
            self.place.digest(self.era),
            self.name.as_bytes(),
            self.arguments,
            self.capabilities,
            self.principal.as_bytes(),
        ]
    }

    /// The keys of its answers; `None` if it is too long, or its parts are no JSON.
    pub fn keys(&self) -> Option<Keys> {
        let [digest, name, arguments, capabilities, principal] = self.parts();
        let mut bytes = Vec::with_capacity(64 + name.len() + arguments.len() + principal.len());
        bytes.extend_from_slice(digest);
        push(&mut bytes, |bytes| {
            bytes.extend_from_slice(name);
            Some(())
        })?;
        for json in [arguments, capabilities] {
            push(&mut bytes, |bytes| {
                // Absent ones are no empty object: a server may tell them apart.
                if json.is_empty() { Some(()) } else { canonicalize(json, bytes).ok() }
            })?;
        }
        let asked = bytes.len();
        bytes.push(b'=');
        bytes.extend_from_slice(principal);
        (bytes.len() <= MAX_KEY_BYTES).then_some(Keys { bytes, asked })
    }
}

/// Appends what `write` does, with its length before it.
fn push(bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
    let at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    write(bytes)?;
    let length = u32::try_from(bytes.len() - at - 4).ok()?;
    bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
    Some(())
}

#[cfg(test)]
mod tests;
