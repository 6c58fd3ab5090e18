//! Everything that moves and everything MCP.
