// Tasks of the gateway's own tools, as real clients take them: the first generation of the official TypeScript client
// asks for one in 2025-11-25; MCP Inspector declares the extension in 2026-07-28 and is given one.
//
//   node tasks.mjs --dir PROJECT --url URL
//
// PROJECT has a `slow.py`, and the gateway may look at it.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { dir, url } from './options.mjs';
import { check, expect } from './report.mjs';

const run = promisify(execFile);
const name = 'qe_test_generate';
/** Another seed each time: what was found once is answered at once. */
const generate = seed => ({ root: dir, targets: [{ file: 'slow.py' }], budget_ms: 100, framework: 'unittest', mutants: 0, seed });
/** How often the gateway was asked for a task. */
const polled = async () => {
    const text = await (await fetch(new URL('/metrics', url))).text();
    return Number(/^aqe_requests_total\{method="tasks\/get"\} (\d+)/m.exec(text)?.[1] ?? 0);
};
const isDone = result => result.structuredContent?.results?.[0]?.test_file?.content?.includes('slow');

const client = new Client({ name: 'interop-tasks', version: '1.0.0' }, { capabilities: {} });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
await client.listTools();
const { tasks } = client.experimental;

await check('2025-11-25: a tool that can is called as a task, without being asked', async () => {
    const seen = [];
    let task, result;
    for await (const message of tasks.callToolStream({ name, arguments: generate(1) })) {
        seen.push(message.type);
        task = message.task ?? task;
        result = message.result ?? result;
        expect(message.type !== 'error', message.error?.message);
    }
    expect(seen[0] === 'taskCreated' && seen.at(-1) === 'result', seen.join());
    expect(isDone(result), JSON.stringify(result));
    const { tasks: all } = await tasks.listTasks();
    expect(all.some(({ taskId, status }) => taskId === task.taskId && status === 'completed'), JSON.stringify(all));
    return seen.join();
});

await check('2025-11-25: a task is cancelled', async () => {
    for await (const message of tasks.callToolStream({ name, arguments: generate(2) })) {
        if (message.type !== 'taskCreated') continue;
        const { status } = await tasks.cancelTask(message.task.taskId);
        expect(status === 'cancelled', status);
        expect((await tasks.getTask(message.task.taskId)).status === 'cancelled', 'it is not cancelled');
        return;
    }
    expect(false, 'no task was created');
});
await client.close();

await check('2026-07-28: a call that takes long is a task, and its result that of the call', async () => {
    const inspector = fileURLToPath(
        new URL('./clients/launcher/build/index.js', import.meta.resolve('@modelcontextprotocol/inspector/package.json'))
    );
    const request = ['--method', 'tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(generate(3))];
    const line = [inspector, '--cli', url, '--transport', 'http', '--protocol-era', 'modern', '--format', 'json', '-q', ...request];
    const before = await polled();
    const { stdout } = await run(process.execPath, line, { maxBuffer: 64 << 20, timeout: 50_000 });
    const { result } = JSON.parse(stdout);
    expect(isDone(result), stdout.slice(0, 400));
    expect((await polled()) > before, 'it was no task');
});
