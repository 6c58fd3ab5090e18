//! The members that a gateway looks at, and which container they are read from.

/// A member that the scan notes. Named by its container and its name in the specification's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
#[allow(missing_docs, reason = "each variant is the member of that name")]
pub enum Field {
    // params
    Name,
    Uri,
    Cursor,
    Arguments,
    ProgressToken,
    RequestId,
    Level,
    TaskId,
    Task,
    Ref,
    ProtocolVersion,
    Capabilities,
    ClientInfo,
    Notifications,
    /// `_meta` of params or result, whichever the message has.
    Meta,
    // params._meta and result._meta
    MetaProgressToken,
    MetaProtocolVersion,
    MetaClientInfo,
    MetaClientCapabilities,
    MetaLogLevel,
    MetaSubscriptionId,
    MetaServerInfo,
    MetaTraceparent,
    MetaTracestate,
    // result
    ResultType,
    IsError,
    NextCursor,
    TtlMs,
    CacheScope,
    ServerInfo,
    Instructions,
    SupportedVersions,
    Tools,
    Prompts,
    Resources,
    ResourceTemplates,
    Contents,
    // error
    Code,
    ErrorMessage,
    Data,
}

impl Field {
    pub(super) const COUNT: usize = Self::Data as usize + 1;

    pub(super) fn of_params(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"name" => Self::Name,
            b"uri" => Self::Uri,
            b"cursor" => Self::Cursor,
            b"arguments" => Self::Arguments,
            b"progressToken" => Self::ProgressToken,
            b"requestId" => Self::RequestId,
            b"level" => Self::Level,
            b"taskId" => Self::TaskId,
            b"task" => Self::Task,
            b"ref" => Self::Ref,
            b"protocolVersion" => Self::ProtocolVersion,
            b"capabilities" => Self::Capabilities,
            b"clientInfo" => Self::ClientInfo,
            b"notifications" => Self::Notifications,
            b"_meta" => Self::Meta,
            _ => return None,
        })
    }

    pub(super) fn of_meta(key: &[u8]) -> Option<Self> {
        match key {
            b"progressToken" => return Some(Self::MetaProgressToken),
            b"traceparent" => return Some(Self::MetaTraceparent),
            b"tracestate" => return Some(Self::MetaTracestate),
            _ => {}
        }
        Some(match key.strip_prefix(b"io.modelcontextprotocol/")? {
            b"protocolVersion" => Self::MetaProtocolVersion,
            b"clientInfo" => Self::MetaClientInfo,
            b"clientCapabilities" => Self::MetaClientCapabilities,
            b"logLevel" => Self::MetaLogLevel,
            b"subscriptionId" => Self::MetaSubscriptionId,
            b"serverInfo" => Self::MetaServerInfo,
            _ => return None,
        })
    }

    pub(super) fn of_result(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"resultType" => Self::ResultType,
            b"isError" => Self::IsError,
            b"nextCursor" => Self::NextCursor,
            b"ttlMs" => Self::TtlMs,
            b"cacheScope" => Self::CacheScope,
            b"serverInfo" => Self::ServerInfo,
            b"instructions" => Self::Instructions,
            b"protocolVersion" => Self::ProtocolVersion,
            b"capabilities" => Self::Capabilities,
            b"supportedVersions" => Self::SupportedVersions,
            b"tools" => Self::Tools,
            b"prompts" => Self::Prompts,
            b"resources" => Self::Resources,
            b"resourceTemplates" => Self::ResourceTemplates,
            b"contents" => Self::Contents,
            b"taskId" => Self::TaskId,
            b"task" => Self::Task,
            b"_meta" => Self::Meta,
            _ => return None,
        })
    }

    pub(super) fn of_error(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"code" => Self::Code,
            b"message" => Self::ErrorMessage,
            b"data" => Self::Data,
            _ => return None,
        })
    }
}
