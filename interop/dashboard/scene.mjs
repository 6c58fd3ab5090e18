// What the dashboard's checks work with: replicas, gateways, a load of known count, a browser.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values } = parseArgs({
    options: { gateway: { type: 'string' }, fixture: { type: 'string' }, dir: { type: 'string' }, shots: { type: 'string' }, browser: { type: 'string' } }
});
/** The gateway and the fixture upstream, a folder to work in, one for screenshots, and the browser. */
export const options = values;
/** How long the page stays open for the memory check; a shortened one otherwise. */
export const minutes = Number(process.env.AQE_DASHBOARD_MINUTES ?? 0);

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

/** Asks until the answer is true; says how long that took, in milliseconds. */
export async function until(what, ask, limit = 20_000, step = 20) {
    const started = performance.now();
    for (;;) {
        const answer = await ask();
        if (answer) return performance.now() - started;
        if (performance.now() - started > limit) throw new Error(`${what}: waited ${limit} ms in vain`);
        await sleep(step);
    }
}

const running = new Set();

function start(command, args, env = {}) {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env }, cwd: options.dir });
    running.add(child);
    child.ended = new Promise(resolve => child.on('exit', () => (running.delete(child), resolve())));
    return child;
}

/** The first line of its output that means something to `read`. */
async function line(child, read) {
    for await (const text of createInterface({ input: child.stdout })) {
        const found = read(text);
        if (found) {
            child.stdout.resume();
            return found;
        }
    }
    throw new Error('the program ended before it listened');
}

export async function replica(...args) {
    const child = start(options.fixture, ['http', '--until-stdin-ends', ...args]);
    const url = await line(child, text => text.match(/^listening (\S+)/)?.[1]);
    return { child, url };
}

let gateways = 0;

/** Starts a gateway with a configuration of its own. */
export async function gateway(config, { listen = '127.0.0.1:0' } = {}) {
    const folder = path.join(options.dir, `dashboard-${gateways++}`);
    fs.mkdirSync(folder, { recursive: true });
    const file = path.join(folder, 'aqe.toml');
    fs.writeFileSync(file, `${config}\n[store]\npath = "${folder}/store.db"\n`, { mode: 0o600 });
    const child = start(options.gateway, ['mcp', 'start', '--transport', 'http', '--listen', listen, '--json', '--config', file]);
    const { url, dashboard, pid } = await line(child, text => text.startsWith('{') && JSON.parse(text));
    return {
        child,
        mcp: url,
        url: dashboard,
        pid,
        address: new URL(url).host,
        get: async (where, headers) => (await fetch(new URL(where, dashboard), { headers })).json(),
        async stop() {
            child.kill('SIGTERM');
            await child.ended;
        }
    };
}

export async function stopAll() {
    for (const child of running) child.kill('SIGTERM');
    await Promise.all([...running].map(child => Promise.race([child.ended, sleep(5000).then(() => child.kill('SIGKILL'))])));
}

let id = 0;

/** One request of the modern era, of a client with these extensions; its answer, JSON or the last event. */
export async function call(mcp, name, args = {}, { signal, extensions } = {}) {
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': extensions ? { extensions } : {} };
    const body = JSON.stringify({ jsonrpc: '2.0', id: ++id, method: 'tools/call', params: { name, arguments: args, _meta: meta } });
    const headers = {
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        'MCP-Protocol-Version': '2026-07-28',
        'Mcp-Method': 'tools/call',
        'Mcp-Name': name
    };
    const response = await fetch(mcp, { method: 'POST', headers, body, signal });
    const text = await response.text();
    const events = text.split('\n').filter(line => line.startsWith('data: {'));
    return JSON.parse(events.length ? events.at(-1).slice(6) : text);
}

/** Calls that go on until stopped; counts what was sent and what came of it, by tool. */
export function load(mcp, mix, { clients = 4, pause = 25 } = {}) {
    const sent = new Map();
    let going = true;
    let turn = 0;
    const client = async () => {
        while (going) {
            const [name, args] = mix[turn++ % mix.length];
            const count = sent.get(name) ?? { calls: 0, errors: 0 };
            sent.set(name, count);
            count.calls += 1;
            const answer = await call(mcp, name, typeof args === 'function' ? args(turn) : args);
            if (answer.error || answer.result?.isError) count.errors += 1;
            await sleep(pause);
        }
    };
    const clientsDone = Promise.all(Array.from({ length: clients }, client));
    return {
        sent,
        async stop() {
            going = false;
            await clientsDone;
        }
    };
}

/** The frames of `/admin/events`, by the moment they were made; those that the page gets are the same. */
export async function frames(base, window) {
    const kept = new Map();
    const abort = new AbortController();
    const response = await fetch(new URL(`/admin/events?window=${window}`, base), { signal: abort.signal });
    const reading = (async () => {
        let text = '';
        const decoder = new TextDecoder();
        for await (const chunk of response.body) {
            text += decoder.decode(chunk, { stream: true });
            for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
                const event = text.slice(0, end);
                if (!event.startsWith('event: metrics\ndata: ')) continue;
                const figures = JSON.parse(event.slice('event: metrics\ndata: '.length));
                kept.set(figures.at, figures);
                if (kept.size > 100) kept.delete(kept.keys().next().value);
            }
        }
    })().catch(() => {});
    return { kept, stop: () => (abort.abort(), reading) };
}

const FLAGS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--enable-precise-memory-info',
    // A name that somebody else controls and that leads here.
    '--host-resolver-rules=MAP rebound.test 127.0.0.1'
];

export const launch = () => chromium.launch({ executablePath: options.browser, args: FLAGS });

/** A page that notes what it complains of and whom it asks; nobody but `base` is let through. */
export async function open(browser, base, settings = {}) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...settings });
    const page = await context.newPage();
    const complaints = [];
    const strangers = [];
    page.on('console', message => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
    page.on('pageerror', error => complaints.push(String(error)));
    const origin = new URL(base).origin;
    await context.route('**/*', route => {
        const { url } = { url: route.request().url() };
        if (url.startsWith(`${origin}/`) || url.startsWith('data:')) return route.continue();
        strangers.push(url);
        return route.abort();
    });
    await page.goto(base);
    return { context, page, complaints, strangers };
}

/** Waits until the page shows figures. */
export const shown = page => page.waitForFunction(() => document.documentElement.dataset.at);

export const shot = (page, name, more = {}) => page.screenshot({ path: path.join(options.shots, `${name}.png`), fullPage: true, ...more });

/** A server for pages of another origin. */
export async function stranger(body) {
    const server = http.createServer((_, response) => response.setHeader('Content-Type', 'text/html').end(body));
    await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
    return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
