// The official TypeScript client, first generation: legacy revisions only.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, LATEST_PROTOCOL_VERSION } from '@modelcontextprotocol/sdk/types.js';
import { answers, runChecks, tap } from './checks.mjs';
import * as options from './options.mjs';

const asked = [];
const received = [];
const client = new Client(
    { name: 'interop-ts-v1', version: '1.0.0' },
    { capabilities: { sampling: {}, elicitation: {} } }
);
client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => (asked.push('sampling'), answers.sampling(params)));
client.setRequestHandler(ElicitRequestSchema, ({ params }) => (asked.push('elicitation'), answers.elicitation(params)));

const transport = options.url
    ? new StreamableHTTPClientTransport(new URL(options.url))
    : new StdioClientTransport({ command: options.command, args: options.args, env: process.env });
// The client does not tell what it negotiated; it tells its transport, for the HTTP header.
let revision = LATEST_PROTOCOL_VERSION;
const told = transport.setProtocolVersion?.bind(transport);
transport.setProtocolVersion = version => ((revision = version), told?.(version));

await runChecks({
    asked,
    received,
    connect: async () => {
        await client.connect(transport);
        tap(transport, received);
        return revision;
    },
    listTools: page => client.listTools(page),
    listResources: page => client.listResources(page),
    listResourceTemplates: page => client.listResourceTemplates(page),
    listPrompts: page => client.listPrompts(page),
    callTool: (params, settings) => client.callTool(params, undefined, settings),
    readResource: params => client.readResource(params),
    getPrompt: params => client.getPrompt(params),
    complete: params => client.complete(params),
    close: () => client.close()
});
