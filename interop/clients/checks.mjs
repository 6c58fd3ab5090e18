// What any client must see through the gateway. Both generations of the
// official TypeScript client run this; they differ only in the adapter given:
//
//   connect()                       → the protocol revision negotiated
//   listTools|listResources|…(page) → one page of the list, never from a cache
//   callTool({name, arguments}, {signal, onprogress})
//   readResource, getPrompt, complete, close
//   asked                           what the server has asked of the client: 'sampling', 'elicitation'
//   received                        the messages that came in, in the order of the wire
import * as options from './options.mjs';
import { check, expect } from './report.mjs';

const { calls, only, prompts, resources, run, shown, templates, upstreams } = options;

/** How long upstreams may take to start and show their tools, in milliseconds. */
const START_MS = 60_000;
/** How many tools the gateway must show, with `many` behind it. */
const LEAST_TOOLS = 340;
const IN_PARALLEL = 20;

const concerns = upstream => upstreams.includes(upstream);
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));
/** Everything that a result says, as one text to search in. */
const said = result =>
    [
        ...(result.content ?? []).map(block => block.text ?? block.resource?.text ?? ''),
        JSON.stringify(result.structuredContent ?? '')
    ].join('\n');

/** All pages of a list. */
async function all(page, key) {
    const items = [];
    let cursor;
    do {
        const result = await page(cursor === undefined ? undefined : { cursor });
        items.push(...result[key]);
        cursor = result.nextCursor;
    } while (cursor !== undefined);
    return items;
}

function expectText(result, wanted) {
    const text = said(result);
    expect(!result.isError, `isError: ${text}`);
    expect(text.includes(wanted), `${JSON.stringify(wanted)} not in ${JSON.stringify(text)}`);
}

async function lists(client) {
    const tools = () => all(client.listTools, 'tools').then(list => list.map(tool => tool.name));
    await check('tools/list', async () => {
        const started = performance.now();
        let names, missing;
        for (let requests = 1; ; requests++) {
            names = await tools();
            missing = upstreams.filter(upstream => !only && !names.some(name => name.startsWith(`${upstream}__`)));
            if (!missing.length) {
                if (!only) expect(names.length >= LEAST_TOOLS, `only ${names.length} tools`);
                expect(new Set(names).size === names.length, 'a name is listed twice');
                return `${names.length} tools after ${Math.round(performance.now() - started)} ms, request ${requests}`;
            }
            expect(performance.now() - started < START_MS, `no tools of ${missing.join(', ')}`);
            await sleep(100);
        }
    });
    await check('tools/list keeps its order', async () => {
        const [first, second] = [await tools(), await tools()];
        expect(JSON.stringify(first) === JSON.stringify(second), 'two lists differ');
    });
}

async function everyCall(client) {
    for (const { upstream, tool, arguments: args, expect: wanted } of calls) {
        const name = shown(upstream, tool);
        await check(`tools/call ${name}`, async () => expectText(await client.callTool({ name, arguments: args }), wanted));
    }
}

async function errors(client) {
    await check('tools/call of an unknown tool is an error', async () => {
        const result = await client.callTool({ name: 'no-such-tool', arguments: {} }).catch(error => error);
        if (!only) expect(result.code === -32602, `expected -32602, got ${JSON.stringify(result.code ?? result)}`);
        expect(result instanceof Error || result.isError, 'answered as if it existed');
    });
    if (concerns('files')) {
        await check('a tool error arrives as one', async () => {
            const result = await client.callTool({ name: shown('files', 'read_text_file'), arguments: { path: '/etc/hostname' } });
            expect(result.isError && said(result).includes('Access denied'), said(result));
        });
    }
}

async function parallel(client) {
    if (!concerns('everything')) return;
    await check(`${IN_PARALLEL} calls at once get their own answers`, async () => {
        const messages = Array.from({ length: IN_PARALLEL }, (_, index) => `${run} ${index}`);
        const results = await Promise.all(
            messages.map(message => client.callTool({ name: shown('everything', 'echo'), arguments: { message } }))
        );
        results.forEach((result, index) => {
            expect(result.content[0].text === `Echo: ${messages[index]}`, `answer ${index}: ${said(result)}`);
        });
    });
}

async function progress(client) {
    // Read off the transport: the clients themselves drop progress that arrives
    // in one read with the result, which they handle first.
    const counted = async (name, args, count) => {
        client.received.length = 0;
        const result = await client.callTool({ name, arguments: args }, { onprogress: () => {} });
        await sleep(50);
        const steps = client.received
            .filter(({ method, result }) => result || method === 'notifications/progress')
            .map(({ result, params }) => (result ? 'result' : params.progress));
        const wanted = [...Array.from({ length: count }, (_, index) => index + 1), 'result'];
        const off = wanted.findIndex((step, index) => step !== steps[index]);
        expect(off < 0 && steps.length === wanted.length, `${steps.length - 1} notifications; wrong from here: ${steps.slice(off)}`);
        return result;
    };
    if (concerns('everything')) {
        await check('a long-running call reports its progress in order', async () => {
            const name = shown('everything', 'trigger-long-running-operation');
            expectText(await counted(name, { duration: 1, steps: 5 }, 5), 'Long running operation completed');
        });
    }
    if (concerns('many')) {
        await check('200 progress notifications arrive in order', async () => {
            expectText(await counted(shown('many', 'progress'), { count: 200 }, 200), 'sent 200');
        });
    }
}

async function cancellation(client) {
    if (!concerns('many')) return;
    await check('a cancelled call is cancelled upstream', async () => {
        const cancelled = async () =>
            (await client.callTool({ name: shown('many', 'cancelled'), arguments: {} })).structuredContent.count;
        const before = await cancelled();
        const abort = new AbortController();
        const call = client.callTool({ name: shown('many', 'sleep'), arguments: { ms: 60_000 } }, { signal: abort.signal });
        setTimeout(() => abort.abort('changed my mind'), 300);
        expect((await call.catch(error => error)) instanceof Error, 'the cancelled call was answered');
        const started = performance.now();
        while ((await cancelled()) === before) {
            expect(performance.now() - started < 5_000, 'the upstream never heard of it');
            await sleep(20);
        }
    });
}

async function resourcesAndPrompts(client) {
    // The gateway may put a name before a URI that two upstreams share, so a listed URI is what gets read.
    const matching = (items, key, uri) => {
        const found = items.filter(item => item[key] === uri || item[key].endsWith(uri.split('://')[1]));
        expect(found.length, `${uri} is not listed`);
        return found.map(item => item[key]);
    };
    const expectContent = async (uri, wanted) => {
        const { contents } = await client.readResource({ uri });
        expect(contents.some(({ text }) => text?.includes(wanted)), `${uri}: ${JSON.stringify(contents).slice(0, 300)}`);
    };
    for (const [upstream, { uri, expect: wanted }] of resources) {
        await check(`resources/list and read of ${upstream}`, async () => {
            const uris = matching(await all(client.listResources, 'resources'), 'uri', uri);
            for (const listed of uris) await expectContent(listed, wanted);
        });
    }
    for (const [upstream, { template, uri, expect: wanted }] of templates) {
        await check(`resources/templates/list and read of ${upstream}`, async () => {
            const listed = matching(await all(client.listResourceTemplates, 'resourceTemplates'), 'uriTemplate', template);
            const variable = template.match(/\{\w+\}$/)[0];
            const value = uri.slice(template.length - variable.length);
            for (const found of listed) await expectContent(found.replace(variable, value), wanted);
        });
    }
    for (const [upstream, { name, arguments: args, expect: wanted }] of prompts) {
        await check(`prompts/list and get of ${upstream}`, async () => {
            const names = (await all(client.listPrompts, 'prompts')).map(prompt => prompt.name);
            expect(names.includes(shown(upstream, name)), `not in ${names.join(', ')}`);
            const { messages } = await client.getPrompt({ name: shown(upstream, name), arguments: args });
            expect(JSON.stringify(messages).includes(wanted), JSON.stringify(messages));
        });
    }
    if (concerns('everything')) {
        await check('completion/complete', async () => {
            const ref = { type: 'ref/prompt', name: shown('everything', 'completable-prompt') };
            const { completion } = await client.complete({ ref, argument: { name: 'department', value: 'Eng' } });
            expect(completion.values.includes('Engineering'), JSON.stringify(completion));
        });
    }
}

/** Requests of a server to its client; before 2026-07-28 they travel during a call. */
async function serverRequests(client, legacy) {
    if (!concerns('everything') || !legacy) return;
    await check('sampling reaches the client and its answer the server', async () => {
        const name = shown('everything', 'trigger-sampling-request');
        expectText(await client.callTool({ name, arguments: { prompt: run, maxTokens: 9 } }), `sampled for ${run}`);
        expect(client.asked.includes('sampling'), 'the client was not asked');
    });
    await check('elicitation reaches the client and its answer the server', async () => {
        const name = shown('everything', 'trigger-elicitation-request');
        expectText(await client.callTool({ name, arguments: {} }), `Ada ${run}`);
        expect(client.asked.includes('elicitation'), 'the client was not asked');
    });
}

/** Runs all checks that concern this run against `client`. */
export async function runChecks(client) {
    let revision;
    const connected = await check('connect', async () => {
        revision = await client.connect();
        expect(!options.version || revision === options.version, `negotiated ${revision}, wanted ${options.version}`);
        return revision;
    });
    if (!connected) process.exit(1);
    for (const part of [lists, everyCall, errors, parallel, progress, cancellation, resourcesAndPrompts]) await part(client);
    await serverRequests(client, revision < '2026');
    await check('close', async () => void (await client.close()));
    // A call that hangs must not keep the process.
    process.exit();
}

/** Lets `received` see each message that comes in on `transport`, which must be connected. */
export function tap(transport, received) {
    const deliver = transport.onmessage;
    transport.onmessage = (message, extra) => {
        received.push(message);
        deliver(message, extra);
    };
}

/** What the clients answer when a server asks them. */
export const answers = {
    sampling: params => ({
        model: 'none',
        role: 'assistant',
        content: { type: 'text', text: `sampled for ${JSON.stringify(params.messages).includes(run) ? run : 'someone else'}` }
    }),
    elicitation: () => ({ action: 'accept', content: { name: `Ada ${run}`, check: true, integer: 7 } })
};
