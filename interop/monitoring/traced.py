"""An MCP server of the official Python SDK, which records spans by
OpenTelemetry's SDK, and whose tools tell in which trace they were called.

By stdio, or with --http by HTTP on a port of its own, which it prints."""

import argparse
import asyncio
import socket

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider())
server = MCPServer("traced", version="1")


@server.tool()
def seen(ctx: Context) -> dict:
    """What has come of the trace, and what OpenTelemetry has made of it."""
    context = ctx.request_context
    span = trace.get_current_span()
    headers = context.request.headers if context.request else {}
    return {
        "meta": (context.meta or {}).get("traceparent"),
        "header": headers.get("traceparent"),
        "trace": format(span.get_span_context().trace_id, "032x"),
        "parent": format(span.parent.span_id, "016x") if span.parent else None,
    }


@server.tool()
def fails() -> str:
    """A tool that ran and failed."""
    raise ToolError("no luck")


@server.tool()
def refuses() -> str:
    """A tool that answers with an error of the protocol."""
    raise MCPError(code=-32050, message="not today")


async def serve():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"listening http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
        config = uvicorn.Config(server.streamable_http_app(), log_level="warning")
        await uvicorn.Server(config).serve(sockets=[listener])


parser = argparse.ArgumentParser()
parser.add_argument("--http", action="store_true")
if parser.parse_args().http:
    asyncio.run(serve())
else:
    server.run("stdio")
