// The official TypeScript client, second generation: legacy revisions and 2026-07-28.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { answers, runChecks, tap } from './checks.mjs';
import * as options from './options.mjs';

const asked = [];
const received = [];
const client = new Client(
    { name: 'interop-ts-v2', version: '1.0.0' },
    {
        capabilities: { sampling: {}, elicitation: {} },
        versionNegotiation: { mode: options.era === 'modern' ? { pin: '2026-07-28' } : options.era }
    }
);
client.setRequestHandler('sampling/createMessage', ({ params }) => (asked.push('sampling'), answers.sampling(params)));
client.setRequestHandler('elicitation/create', ({ params }) => (asked.push('elicitation'), answers.elicitation(params)));

const transport = options.url
    ? new StreamableHTTPClientTransport(new URL(options.url))
    : new StdioClientTransport({ command: options.command, args: options.args, env: process.env });
const fresh = { cacheMode: 'refresh' };

await runChecks({
    asked,
    received,
    connect: async () => {
        await client.connect(transport);
        tap(transport, received);
        return client.getNegotiatedProtocolVersion();
    },
    listTools: page => client.listTools(page, fresh),
    listResources: page => client.listResources(page, fresh),
    listResourceTemplates: page => client.listResourceTemplates(page, fresh),
    listPrompts: page => client.listPrompts(page, fresh),
    callTool: (params, settings) => client.callTool(params, settings),
    readResource: params => client.readResource(params, fresh),
    getPrompt: params => client.getPrompt(params),
    complete: params => client.complete(params),
    close: () => client.close()
});
