// MCP Inspector's command line: one process for each request, as a person or a
// script would use it. Each one connects anew, so a short list has to do.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { args, calls, command, era, only, prompts, resources, shown, url } from './options.mjs';
import { check, expect } from './report.mjs';

const inspector = fileURLToPath(
    new URL('./clients/launcher/build/index.js', import.meta.resolve('@modelcontextprotocol/inspector/package.json'))
);
const target = url ? [url, '--transport', 'http'] : ['--', command, ...args];
const run = promisify(execFile);

/** The result of one request, or the error that it printed. */
async function inspect(method, ...more) {
    const request = ['--method', method, ...more, '--protocol-era', era, '--format', 'json', '-q'];
    const line = [inspector, '--cli', ...(url ? [...target, ...request] : [...request, ...target])];
    try {
        const { stdout } = await run(process.execPath, line, { maxBuffer: 64 << 20, timeout: 50_000 });
        return JSON.parse(stdout).result;
    } catch (error) {
        // What it printed says more than the command line, with which the message begins.
        throw Object.assign(new Error(error.stderr?.trim() || error.message), { code: error.code });
    }
}

// Over stdio each request starts the whole gateway, so two calls have to do.
const chosen = url ? calls : calls.slice(0, 2);

await check('tools/list', async () => {
    const { tools } = await inspect('tools/list');
    if (!only) expect(tools.length >= 340, `only ${tools.length} tools`);
    return `${tools.length} tools`;
});
for (const { upstream, tool, arguments: input, expect: wanted } of chosen) {
    const name = shown(upstream, tool);
    await check(`tools/call ${name}`, async () => {
        const result = await inspect('tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(input));
        const texts = [...result.content.map(block => block.text), JSON.stringify(result.structuredContent)];
        expect(!result.isError && texts.some(text => text?.includes(wanted)), JSON.stringify(result));
    });
}
await check('tools/call of an unknown tool is an error', async () => {
    const error = await inspect('tools/call', '--tool-name', 'no-such-tool', '--tool-args-json', '{}').catch(error => error);
    expect(error.code > 0, 'the command succeeded');
});
for (const [upstream, { uri, expect: wanted }] of url ? resources : []) {
    await check(`resources/list and read of ${upstream}`, async () => {
        const listed = (await inspect('resources/list')).resources.find(found => found.uri.endsWith(uri.split('://')[1]));
        expect(listed, `${uri} is not listed`);
        const { contents } = await inspect('resources/read', '--uri', listed.uri);
        expect(JSON.stringify(contents.map(({ text }) => text)).includes(JSON.stringify(wanted).slice(1, -1)), uri);
    });
}
for (const [upstream, { name, arguments: input, expect: wanted }] of url ? prompts : []) {
    await check(`prompts/get of ${upstream}`, async () => {
        const pairs = Object.entries(input).flatMap(([key, value]) => ['--prompt-args', `${key}=${value}`]);
        const { messages } = await inspect('prompts/get', '--prompt-name', shown(upstream, name), ...pairs);
        expect(JSON.stringify(messages).includes(wanted), JSON.stringify(messages));
    });
}
