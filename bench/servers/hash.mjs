// An MCP server with one thread and one tool, which keeps that thread busy. It speaks the legacy revisions over
// standard input and output, as the servers do that people run with npx, and needs no packages.
//
//     node hash.mjs ROUNDS              serve
//     node hash.mjs calibrate MILLIS    print how many rounds take so much processor time here
//
// The work is a fixed amount, not a fixed time: two calls at once on one processor take twice as long.
import { pbkdf2Sync } from "node:crypto";
import { createInterface } from "node:readline";

const work = (text, rounds) => pbkdf2Sync(text, "salt", rounds, 32, "sha256").toString("hex");

const [first, millis] = process.argv.slice(2);
if (first === "calibrate") {
  const sample = 20_000;
  work("warm up", sample);
  const before = process.cpuUsage();
  for (let times = 0; times < 20; times++) work("calibrate", sample);
  const used = process.cpuUsage(before);
  const perRound = (used.user + used.system) / 1_000 / (20 * sample);
  console.log(Math.round(Number(millis) / perRound));
  process.exit(0);
}

const rounds = Number(first);
const tool = {
  name: "hash",
  description: "Derives a key from a text.",
  inputSchema: { type: "object", properties: { text: { type: "string" } } },
  annotations: { readOnlyHint: true },
};

const methods = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: "hash", version: "1" },
  }),
  ping: () => ({}),
  "tools/list": () => ({ tools: [tool] }),
  "tools/call": ({ arguments: { text = "" } = {} }) => ({
    content: [{ type: "text", text: work(text, rounds) }],
  }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  const answer = methods[method];
  const outcome = answer
    ? { result: answer(params ?? {}) }
    : { error: { code: -32601, message: "method not found" } };
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...outcome })}\n`);
}
