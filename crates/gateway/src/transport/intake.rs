//! Which era a message is in, and whether it carries what that era requires.

use aqe_core::envelope::{Field, Message};
use aqe_core::revision::{Era, Revision};

use crate::refusal::Refusal;
use crate::session::Session;

/// Whether a message claims to be of the modern era. An `initialize` that can open a legacy conversation is
/// legacy whatever else it carries (2026-07-28, "Versioning").
pub fn claims_modern(message: &Message) -> bool {
    !message.span(Field::MetaProtocolVersion).is_empty() && !opens_legacy(message)
}

fn opens_legacy(message: &Message) -> bool {
    message.method() == "initialize" && !message.span(Field::ProtocolVersion).is_empty()
}

/// The revision that a modern message claims, if we speak it and the message has the `_meta` that it requires.
///
/// # Errors
/// -32602 for missing or malformed `_meta`, -32022 for a revision that we do not speak.
pub fn modern_revision(message: &Message) -> Result<Revision, Refusal> {
    let Some(version) = message.string(Field::MetaProtocolVersion) else {
        return Err(Refusal::invalid_meta("_meta needs io.modelcontextprotocol/protocolVersion, a string"));
    };
    let revision = Revision::parse(&version).filter(|revision| revision.era() == Era::Modern);
    let Some(revision) = revision else {
        return Err(Refusal::unsupported_version(&version));
    };
    if !message.raw(Field::MetaClientCapabilities).is_some_and(|raw| raw.starts_with('{')) {
        return Err(Refusal::invalid_meta(
            "_meta needs io.modelcontextprotocol/clientCapabilities, an object",
        ));
    }
    if message.raw(Field::MetaClientInfo).is_some_and(|raw| !raw.starts_with('{')) {
        return Err(Refusal::invalid_meta("io.modelcontextprotocol/clientInfo must be an object"));
    }
    if !message.span(Field::MetaLogLevel).is_empty()
        && message.string(Field::MetaLogLevel).is_none_or(|level| crate::session::severity(&level).is_none())
    {
        return Err(Refusal::invalid_params("io.modelcontextprotocol/logLevel is not a log level"));
    }
    Ok(revision)
}

/// The revision of a request on a conversation that may be of either era.
///
/// # Errors
/// As [`modern_revision`]; -32600 for a legacy request before the handshake.
pub fn revision_of(message: &Message, session: &Session) -> Result<Revision, Refusal> {
    if claims_modern(message) {
        return modern_revision(message);
    }
    match (session.handshake(), &*message.method()) {
        (Some(handshake), _) => Ok(handshake.revision),
        (None, "initialize" | "ping") => Ok(Revision::NEWEST_LEGACY),
        (None, "server/discover" | "subscriptions/listen") => modern_revision(message),
        (None, _) => Err(Refusal::invalid_request("the conversation is not initialized")),
    }
}
