"""The official Python client. Same command line as options.mjs; --era takes
legacy, auto or modern (which adopts 2026-07-28 without a probe)."""

import argparse
import asyncio
import json
import os
import time
from pathlib import Path

import mcp_types as types
from mcp import Client, MCPError, StdioServerParameters

START_S = 60  # how long upstreams may take to start and show their tools
LIMIT_S = 60  # longest time that one check may take
LEAST_TOOLS = 340  # what the gateway must show, with `many` behind it

parser = argparse.ArgumentParser()
parser.add_argument("--era", choices=["legacy", "auto", "modern"], default="legacy")
parser.add_argument("--version")
parser.add_argument("--dir", default=os.getcwd())
parser.add_argument("--only")
parser.add_argument("--url")
parser.add_argument("command", nargs="*")
options = parser.parse_args()
run = f"run-py-{options.era}-{'http' if options.url else 'stdio'}-{os.getpid()}"
table = json.loads(
    (Path(__file__).parent.parent / "checks.json")
    .read_text(encoding="utf-8")
    .replace("${DIR}", json.dumps(options.dir)[1:-1])
    .replace("${RUN}", run)
)
upstreams = [name for name in table["upstreams"] if options.only in (None, name)]
asked: list[str] = []
failed = 0


def shown(upstream: str, name: str) -> str:
    return name if options.only else f"{upstream}__{name}"


def expect(condition: object, reason: object) -> None:
    if not condition:
        raise AssertionError(reason)


async def check(name, body, *arguments) -> bool:
    global failed
    try:
        note = await asyncio.wait_for(body(*arguments), LIMIT_S)
        print(f"ok {name} # {note}" if note else f"ok {name}", flush=True)
        return True
    except Exception as error:  # a check may fail in any way, and the next one still runs
        reason = " ".join((str(error) or repr(error)).split())[:500]
        print(f"not ok {name}: {reason}", flush=True)
        failed += 1
        return False


def expect_text(result: types.CallToolResult, wanted: str) -> None:
    texts = [getattr(block, "text", "") for block in result.content]
    texts.append(json.dumps(result.structured_content, separators=(",", ":"), ensure_ascii=False))
    expect(not result.is_error, f"is_error: {texts}")
    expect(any(wanted in text for text in texts), f"{wanted!r} not in {texts!r}")


async def every(page, key: str) -> list:
    items, cursor = [], None
    while True:
        result = await page(cursor=cursor, cache_mode="bypass")
        items += getattr(result, key)
        cursor = result.next_cursor
        if cursor is None:
            return items


async def lists(client: Client):
    started = time.monotonic()
    for requests in range(1, START_S * 10):
        names = [tool.name for tool in await every(client.list_tools, "tools")]
        missing = [u for u in upstreams if not options.only and not any(n.startswith(f"{u}__") for n in names)]
        if not missing:
            expect(options.only or len(names) >= LEAST_TOOLS, f"only {len(names)} tools")
            expect(len(set(names)) == len(names), "a name is listed twice")
            again = [tool.name for tool in await every(client.list_tools, "tools")]
            expect(names == again, "two lists differ")
            return f"{len(names)} tools after {(time.monotonic() - started) * 1000:.0f} ms, request {requests}"
        await asyncio.sleep(0.1)
    raise TimeoutError(f"no tools of {missing}")


async def call(client: Client, upstream: str, tool: str, arguments: dict, wanted: str):
    expect_text(await client.call_tool(shown(upstream, tool), arguments), wanted)


async def unknown_tool(client: Client):
    try:
        result = await client.call_tool("no-such-tool", {})
    except MCPError as error:
        expect(options.only or error.error.code == -32602, f"expected -32602, got {error.error}")
    else:
        expect(options.only and result.is_error, "answered as if it existed")


async def parallel(client: Client):
    name = shown("everything", "echo")
    results = await asyncio.gather(*(client.call_tool(name, {"message": f"{run} {i}"}) for i in range(20)))
    for index, result in enumerate(results):
        expect(result.content[0].text == f"Echo: {run} {index}", f"answer {index}: {result.content}")


async def progress(client: Client, upstream: str, tool: str, arguments: dict, count: int):
    steps: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    result = await client.call_tool(shown(upstream, tool), arguments, progress_callback=on_progress)
    expect(not result.is_error, result.content)
    wanted = list(range(1, count + 1))
    off = next((index for index, pair in enumerate(zip(wanted, steps)) if pair[0] != pair[1]), len(steps))
    expect(steps == wanted, f"{len(steps)} notifications; wrong from here: {steps[off:]}")


async def cancellation(client: Client):
    async def cancelled() -> int:
        result = await client.call_tool(shown("many", "cancelled"), {})
        return result.structured_content["count"]

    before = await cancelled()
    sleeping = asyncio.create_task(client.call_tool(shown("many", "sleep"), {"ms": 60_000}))
    await asyncio.sleep(0.3)
    sleeping.cancel()
    await asyncio.gather(sleeping, return_exceptions=True)
    deadline = time.monotonic() + 5
    while await cancelled() == before:
        expect(time.monotonic() < deadline, "the upstream never heard of it")
        await asyncio.sleep(0.02)


def matching(items: list, key: str, uri: str) -> list[str]:
    """The gateway may put a name before a URI that two upstreams share."""
    found = [u for u in (str(getattr(item, key)) for item in items) if u == uri or u.endswith(uri.split("://")[1])]
    expect(found, f"{uri} is not listed")
    return found


async def resource(client: Client, uri: str, wanted: str):
    for listed in matching(await every(client.list_resources, "resources"), "uri", uri):
        result = await client.read_resource(listed, cache_mode="bypass")
        expect(any(wanted in getattr(content, "text", "") for content in result.contents), f"{listed}: {result.contents}")


async def prompt(client: Client, name: str, arguments: dict, wanted: str):
    names = [prompt.name for prompt in await every(client.list_prompts, "prompts")]
    expect(name in names, f"not in {names}")
    result = await client.get_prompt(name, arguments)
    expect(any(wanted in message.content.text for message in result.messages), result.messages)


async def sampling(client: Client):
    arguments = {"prompt": run, "maxTokens": 9}
    await call(client, "everything", "trigger-sampling-request", arguments, f"sampled for {run}")
    expect("sampling" in asked, "the client was not asked")


async def elicitation(client: Client):
    await call(client, "everything", "trigger-elicitation-request", {}, f"Ada {run}")
    expect("elicitation" in asked, "the client was not asked")


async def on_sampling(_context, params) -> types.CreateMessageResult:
    asked.append("sampling")
    whom = run if run in params.model_dump_json() else "someone else"
    content = types.TextContent(type="text", text=f"sampled for {whom}")
    return types.CreateMessageResult(role="assistant", model="none", content=content)


async def on_elicitation(_context, _params) -> types.ElicitResult:
    asked.append("elicitation")
    return types.ElicitResult(action="accept", content={"name": f"Ada {run}", "check": True, "integer": 7})


async def checks(client: Client):
    async def connect():
        version = client.protocol_version
        expect(options.version in (None, version), f"negotiated {version}, wanted {options.version}")
        return version

    await check("connect", connect)
    await check("tools/list", lists, client)
    for entry in table["calls"]:
        if entry["upstream"] in upstreams:
            name = shown(entry["upstream"], entry["tool"])
            arguments = (entry["upstream"], entry["tool"], entry["arguments"], entry["expect"])
            await check(f"tools/call {name}", call, client, *arguments)
    await check("tools/call of an unknown tool is an error", unknown_tool, client)
    if "many" in upstreams:
        await check("200 progress notifications arrive in order", progress, client, "many", "progress", {"count": 200}, 200)
        await check("a cancelled call is cancelled upstream", cancellation, client)
    for upstream, entry in table["resources"].items():
        if upstream in upstreams:
            await check(f"resources/list and read of {upstream}", resource, client, entry["uri"], entry["expect"])
    if "everything" not in upstreams:
        return
    await check("20 calls at once get their own answers", parallel, client)
    long = ("everything", "trigger-long-running-operation", {"duration": 1, "steps": 5}, 5)
    await check("a long-running call reports its progress in order", progress, client, *long)
    entry = table["prompts"]["everything"]
    name = shown("everything", entry["name"])
    await check("prompts/list and get of everything", prompt, client, name, entry["arguments"], entry["expect"])
    if client.protocol_version < "2026":
        # Before 2026-07-28 a server asks its client during a call.
        await check("sampling reaches the client and its answer the server", sampling, client)
        await check("elicitation reaches the client and its answer the server", elicitation, client)


async def main():
    if options.url:
        server = options.url
    else:
        command, *arguments = options.command
        server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    client = Client(
        server,
        mode={"modern": "2026-07-28"}.get(options.era, options.era),
        client_info=types.Implementation(name="interop-python", version="1.0.0"),
        sampling_callback=on_sampling,
        elicitation_callback=on_elicitation,
        read_timeout_seconds=LIMIT_S,
    )
    async with client:
        await checks(client)


try:
    asyncio.run(asyncio.wait_for(main(), 600))
except Exception as error:  # what fails outside a check is the connection
    print(f"not ok connection: {error!r}", flush=True)
    failed += 1
raise SystemExit(1 if failed else 0)
