//! The methods that MCP names, so that a message's method is compared once and needs no decoding after that.

/// The method in `quoted` (raw JSON text) if it is one that MCP names and is written plainly.
pub(super) fn known(quoted: &[u8]) -> Option<&'static str> {
    let name = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    Some(match name {
        b"tools/call" => "tools/call",
        b"tools/list" => "tools/list",
        b"ping" => "ping",
        b"prompts/get" => "prompts/get",
        b"prompts/list" => "prompts/list",
        b"resources/read" => "resources/read",
        b"resources/list" => "resources/list",
        b"resources/templates/list" => "resources/templates/list",
        b"resources/subscribe" => "resources/subscribe",
        b"resources/unsubscribe" => "resources/unsubscribe",
        b"completion/complete" => "completion/complete",
        b"server/discover" => "server/discover",
        b"subscriptions/listen" => "subscriptions/listen",
        b"initialize" => "initialize",
        b"notifications/progress" => "notifications/progress",
        b"notifications/message" => "notifications/message",
        b"notifications/cancelled" => "notifications/cancelled",
        b"notifications/initialized" => "notifications/initialized",
        _ => return None,
    })
}
