// Lets the conformance suite test the gateway as a client: the suite starts
// this with a scenario's URL as the last argument; this starts the gateway with
// that URL as its only upstream and does through it what the scenario asks.
//
// AQE_GATEWAY          the gateway's command as a JSON array, to which
//                      `--config FILE` is added; unset: go to the URL directly
// MCP_CONFORMANCE_*    set by the suite
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const url = process.argv.at(-1);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');

const client = new Client(
    { name: 'interop-conformance', version: '1.0.0' },
    {
        capabilities: { elicitation: {}, sampling: {}, roots: {} },
        // Pinned to the gateway, since `auto` would start it a second time to probe it.
        versionNegotiation: { mode: process.env.AQE_GATEWAY ? { pin: '2026-07-28' } : 'auto' }
    }
);
client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { confirmed: true } }));

const call = (name, args = {}) => client.callTool({ name, arguments: args });

/** What a client does in each scenario. */
const scenarios = {
    initialize: () => client.listTools(),
    'sse-retry': () => call('test_reconnection'),
    tools_call: () => call('add_numbers', { a: 5, b: 3 }),
    'request-metadata': () => client.listTools(),
    'http-standard-headers': async () => {
        for (const { name } of (await client.listTools()).tools) await call(name);
        for (const { uri } of (await client.listResources()).resources) await client.readResource({ uri });
        for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
    },
    'http-custom-headers': async () => {
        await client.listTools();
        for (const { name, arguments: args } of context.toolCalls) await call(name, args);
    },
    'http-invalid-tool-headers': async () => {
        for (const { name } of (await client.listTools()).tools) await call(name, { region: 'eu' });
    },
    'sep-2322-client-request-state': async () => {
        await client.listTools();
        await Promise.all([call('test_mrtr_echo_state'), call('test_mrtr_unrelated')]);
        await call('test_mrtr_no_state');
        // The suite looks at whether the call is made once; what the client
        // makes of a result without the required field is its own affair.
        await call('test_mrtr_no_result_type').catch(error => console.error(error.message));
    },
    'json-schema-ref-no-deref': () => client.listTools()
};

const folder = mkdtempSync(join(tmpdir(), 'conformance-client-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
let transport;
if (process.env.AQE_GATEWAY) {
    const config = join(folder, 'aqe.toml');
    writeFileSync(config, `[[upstream]]\nname = "scenario"\nurl = ${JSON.stringify(url)}\n`);
    const [command, ...args] = JSON.parse(process.env.AQE_GATEWAY);
    // Its own folders, so that it knows nothing of the tools of the scenario before.
    const folders = ['CONFIG_HOME', 'DATA_HOME', 'STATE_HOME', 'CACHE_HOME', 'RUNTIME_DIR'].map(name => [`XDG_${name}`, folder]);
    const env = { ...process.env, ...Object.fromEntries(folders) };
    transport = new StdioClientTransport({ command, args: [...args, '--config', config], env, cwd: folder });
} else {
    transport = new StreamableHTTPClientTransport(new URL(url));
}
await client.connect(transport);
// The gateway may still be asking the upstream for its tools.
const deadline = Date.now() + 5_000;
while (!['initialize', 'request-metadata'].includes(scenario) && !(await client.listTools({}, { cacheMode: 'refresh' })).tools.length) {
    if (Date.now() > deadline) throw new Error('the gateway never listed the tools of the scenario');
    await new Promise(resolve => setTimeout(resolve, 50));
}
await scenarios[scenario]();
await client.close();
