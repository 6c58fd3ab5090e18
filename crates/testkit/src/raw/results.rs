//! The results that need no waiting.

use std::sync::atomic::Ordering;

use super::{
    request::{Request, quote},
    server::{MODERN, Server},
};

/// The handshake revisions, newest first.
const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// `io.modelcontextprotocol/serverInfo` in every modern result.
const SERVER_INFO: &str = r#"{"name":"rawmcp","version":"1","x-build":null}"#;

impl Server {
    /// The result of a request that needs no waiting.
    pub(super) fn local(&self, method: &str, request: &Request) -> Result<String, (i64, String)> {
        let modern = request.modern;
        if let Some(page) = self.catalog.page(method, request.params.cursor.as_deref()) {
            let whole = |members: String| match self.options.list_ttl_ms.filter(|_| modern) {
                Some(ttl) => {
                    complete(true, false, &format!(r#"{members},"ttlMs":{ttl},"cacheScope":"public""#))
                }
                None => complete(modern, true, &members),
            };
            return page.map(whole).map_err(|message| (-32602, message));
        }
        let plain = |members: &str| Ok(complete(modern, false, members));
        match method {
            "initialize" => {
                let asked = request.params.protocol_version.as_deref().unwrap_or_default();
                let version =
                    self.options.legacy_version.as_deref().unwrap_or_else(|| {
                        LEGACY.into_iter().find(|known| *known == asked).unwrap_or(LEGACY[0])
                    });
                Ok(format!(
                    r#"{{"protocolVersion":{},"capabilities":{},"serverInfo":{SERVER_INFO},"instructions":"raw","x-top":1.50}}"#,
                    quote(version),
                    self.capabilities(),
                ))
            }
            "server/discover" if modern => Ok(complete(
                true,
                true,
                &format!(
                    r#""supportedVersions":["{MODERN}"],"capabilities":{},"instructions":"raw","x-top":1.50"#,
                    self.capabilities()
                ),
            )),
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" if !modern => {
                plain("")
            }
            "completion/complete" => plain(r#""completion":{"values":["raw"],"total":1,"x-extra":null}"#),
            "resources/read" => {
                let uri = quote(request.params.uri.as_deref().unwrap_or_default());
                let text = match self.options.read_ttl_ms {
                    Some(_) => format!("contents {}", self.reads.fetch_add(1, Ordering::Relaxed)),
                    None => "contents".to_owned(),
                };
                let members = format!(
                    r#""contents":[{{"uri":{uri},"text":"{text}","mimeType":"text/plain","x-extra":null}}]"#
                );
                let scope = if self.options.read_public { "public" } else { "private" };
                Ok(match self.options.read_ttl_ms.filter(|_| modern) {
                    Some(ttl) => {
                        let hints = format!(r#"{members},"ttlMs":{ttl},"cacheScope":"{scope}""#);
                        complete(true, false, &hints)
                    }
                    None => complete(modern, true, &members),
                })
            }
            "prompts/get" => plain(
                r#""description":null,"messages":[{"role":"user","content":{"type":"text","text":"prompt","x-extra":1.0}}]"#,
            ),
            _ => Err((-32601, "Method not found".to_owned())),
        }
    }

    fn capabilities(&self) -> String {
        let mut json = String::from(
            r#"{"tools":{"listChanged":true,"x-extra":null},"logging":{},"completions":{},"experimental":{"example.com/raw":{"depth":1e2}}"#,
        );
        if self.catalog.offers("resources/list") {
            json.push_str(r#","resources":{"subscribe":true,"listChanged":true}"#);
        }
        if self.catalog.offers("prompts/list") {
            json.push_str(r#","prompts":{"listChanged":true}"#);
        }
        json.push('}');
        if self.options.unannounced {
            json.replace("\"listChanged\":true", "\"listChanged\":false")
        } else {
            json
        }
    }
}

/// The text of a result object with these members and what the era adds to them.
pub(super) fn complete(modern: bool, cacheable: bool, members: &str) -> String {
    if !modern {
        return format!("{{{members}}}");
    }
    let comma = if members.is_empty() { "" } else { "," };
    let cache = if cacheable { r#","ttlMs":0,"cacheScope":"private""# } else { "" };
    format!(
        r#"{{{members}{comma}"resultType":"complete"{cache},"_meta":{{"io.modelcontextprotocol/serverInfo":{SERVER_INFO}}}}}"#
    )
}
