//! All tools of this crate as one set.

use std::fmt;
use std::sync::Arc;

use aqe_core::inprocess::{CallFuture, Caller, InProcess, InProcessError, ToolResult};
use aqe_store::{Store, UnixMillis};
use bytes::Bytes;

use crate::arguments;
use crate::memory::{Memory, retrieve, store};
use crate::reply::{Refusal, refused};

/// The tools, over a store and a clock that tells the milliseconds since the Unix epoch.
pub fn builtin(
    durable: Arc<dyn Store>,
    clock: impl Fn() -> UnixMillis + Send + Sync + 'static,
) -> Arc<dyn InProcess> {
    let definitions =
        [store::DEFINITION, retrieve::DEFINITION].map(|text| Bytes::from_static(text.as_bytes()));
    Arc::new(Builtin { definitions, memory: Memory { store: durable }, clock: Box::new(clock) })
}

struct Builtin {
    definitions: [Bytes; 2],
    memory: Memory,
    clock: Box<dyn Fn() -> UnixMillis + Send + Sync>,
}

impl fmt::Debug for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builtin").field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl Builtin {
    async fn run(&self, tool: Tool, arguments: &str, caller: Caller<'_>) -> Result<Vec<u8>, Refusal> {
        let now = (self.clock)();
        match tool {
            Tool::MemoryStore => self.memory.store(arguments::parse(arguments)?, caller, now).await,
            Tool::MemoryRetrieve => self.memory.retrieve(arguments::parse(arguments)?, caller, now).await,
        }
    }
}

impl InProcess for Builtin {
    fn definitions(&self) -> &[Bytes] {
        &self.definitions
    }

    fn call<'a>(&'a self, name: &'a str, arguments: &'a str, caller: Caller<'a>) -> CallFuture<'a> {
        Box::pin(async move {
            let tool =
                Tool::named(name).ok_or_else(|| InProcessError::UnknownTool { name: name.to_owned() })?;
            let arguments = arguments::object(arguments)?;
            Ok(match self.run(tool, arguments, caller).await {
                Ok(json) => ToolResult { json, is_error: false },
                Err(refusal) => ToolResult { json: refused(&refusal), is_error: true },
            })
        })
    }
}

#[derive(Clone, Copy)]
enum Tool {
    MemoryStore,
    MemoryRetrieve,
}

impl Tool {
    fn named(name: &str) -> Option<Self> {
        match name {
            "qe_memory_store" => Some(Self::MemoryStore),
            "qe_memory_retrieve" => Some(Self::MemoryRetrieve),
            _ => None,
        }
    }
}
