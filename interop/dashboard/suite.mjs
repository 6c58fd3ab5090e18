// The dashboard in a real browser, under real load, against real replicas:
//
//     node suite.mjs --gateway FILE --fixture FILE --dir FOLDER --shots FOLDER --browser /usr/bin/chromium
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { check, expect } from '../clients/report.mjs';
import { compare, compareScraped, read } from './figures.mjs';
import { fleets } from './fleets.mjs';
import * as scene from './scene.mjs';

const { options, sleep, until } = scene;
const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** What the issue allows between an event and its sight. */
const SEEN_WITHIN_MS = 2_000;

const ALERTS = `
[[monitoring.alert]]
name = "too-many-errors"
signal = "error_rate"
above = 0.9
window = "10s"
severity = "critical"
`;

const table = replicas => `
[server]
builtin = true
[monitoring]
dashboard_interval_ms = 500
${ALERTS}
[[upstream]]
name = "pair"
category = "search"
replicas = [${replicas.map(({ url }) => `{ url = "${url}" }`).join(', ')}]
[upstream.cache]
tool_ttl_ms = { "echo" = 60000 }
shared = true
on_write = "ignore"
[[upstream]]
name = "child"
category = "files"
command = "${options.fixture}"
args = ["stdio", "--tools", "300"]
[[upstream]]
name = "loud"
command = "${process.execPath}"
args = ["${new URL('loud.mjs', import.meta.url).pathname}"]
`;

const MIX = [
    ['pair__echo', turn => ({ turn: turn % 40 })],
    ['child__echo', turn => ({ turn })],
    ['pair__sleep', { ms: 5 }],
    ['child__big', { bytes: 3000 }],
    ['pair__test_error_handling', {}],
    ['child__generated_000007', {}],
    ['pair__counter_next', {}]
];

async function accessible(browser, base, name, settings, prepare = async () => {}) {
    const { context, page } = await scene.open(browser, base, { ...settings, bypassCSP: true });
    await scene.shown(page);
    await prepare(page);
    await page.addScriptTag({ content: axe });
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    await context.close();
    const bad = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
    expect(!bad.length, bad.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 120)}`).join('; '));
    return `${name}: ${violations.length} lesser findings`;
}

/** Whether the process was there to be killed. */
function kill(pid) {
    try {
        return process.kill(pid, 'SIGKILL');
    } catch {
        return false;
    }
}

/** Compares the page with the very document that it shows. */
async function agrees(page, frames) {
    let seen;
    let figures;
    await until('a document that both have seen', async () => {
        seen = await page.evaluate(read);
        return (figures = frames.kept.get(seen.at));
    });
    const { wrong, compared } = compare(seen, figures);
    expect(!wrong.length, `${wrong.length} of ${compared}: ${wrong.slice(0, 6).join('; ')}`);
    return `${compared} figures`;
}

/** Presses Tab until the focus is where it is wanted. */
async function tabTo(page, selector, most = 200) {
    for (let count = 0; count < most; count++) {
        if (await page.evaluate(wanted => document.activeElement?.matches(wanted), selector)) return;
        await page.keyboard.press('Tab');
    }
    throw new Error(`no way to ${selector} by Tab`);
}

async function main() {
    const browser = await scene.launch();
    const replicas = await Promise.all([scene.replica(), scene.replica()]);
    let gateway = await scene.gateway(table(replicas));
    await until('all tools', async () => (await gateway.get('/admin/status')).total_tools > 330);
    const { context, page, complaints, strangers } = await scene.open(browser, gateway.url);
    await scene.shown(page);

    await check('a server that has done nothing yet shows unknown figures as unknown', async () => {
        expect((await page.locator('#tiles [data-figure=latency]').textContent()) === '–', 'a latency without requests');
        await scene.shot(page, 'empty');
    });

    const load = scene.load(gateway.mcp, MIX);
    await sleep(2500);
    for (const window of ['1m', '10s', '5m', 'start']) {
        await check(`every panel agrees with /admin/metrics under load, window ${window}`, async () => {
            const frames = await scene.frames(gateway.url, window);
            await page.check(`input[name=window][value="${window}"]`, { force: true });
            await until('the window', async () => frames.kept.get(await page.evaluate(() => document.documentElement.dataset.at)));
            try {
                return await agrees(page, frames);
            } finally {
                await frames.stop();
            }
        });
    }
    await page.check('input[name=window][value="1m"]', { force: true });

    await check('what a server says is text and never markup', async () => {
        await scene.call(gateway.mcp, 'loud__shout', {});
        await until('the line', async () => (await page.locator('#replicas [data-row="loud loud"] pre').textContent()).includes('<img src=x'));
        expect((await page.locator('#replicas pre img, #tools img').count()) === 0, 'it became an element');
        expect(await page.evaluate(() => globalThis.hacked === undefined), 'it was run');
    });

    const hang = () => scene.call(gateway.mcp, 'child__sleep', { ms: 600_000 });
    const hanging = page.locator('#calls [data-row]', { hasText: 'child__sleep' });
    await check('a call that hangs is seen and cancelled by keyboard alone, after a question', async () => {
        const running = hang();
        await hanging.waitFor();
        const button = `#calls tr[data-row="${await hanging.getAttribute('data-row')}"] button`;
        await tabTo(page, button);
        await page.keyboard.press('Enter');
        await page.locator('#confirm[open]').waitFor();
        await scene.shot(page, 'confirm', { fullPage: false });
        await page.keyboard.press('Escape');
        expect(await hanging.count(), 'Escape has cancelled it');
        await tabTo(page, button);
        await page.keyboard.press('Enter');
        await tabTo(page, '#confirm-yes');
        await page.keyboard.press('Enter');
        const answer = await running;
        expect(answer.error, `the client got ${JSON.stringify(answer).slice(0, 200)}`);
        await hanging.waitFor({ state: 'detached' });
    });

    await check('a task is seen with how far it is, and cancelled as a call', async () => {
        const names = ['e1', 'e2', 'e3', 'e4', 'e5', 'e6'].map(name => `${name}.py`);
        for (const name of names) fs.writeFileSync(path.join(options.dir, name), 'while True:\n    pass\n');
        const begun = await scene.call(
            gateway.mcp, 'qe_test_generate', { targets: names.map(file => ({ file })), mode: 'generate', mutants: 0 },
            { extensions: { 'io.modelcontextprotocol/tasks': {} } }
        );
        expect(begun.result?.taskId, JSON.stringify(begun).slice(0, 200));
        const row = page.locator('#calls [data-row]', { hasText: 'qe_test_generate' });
        await row.locator('.aside', { hasText: /^task · \d of 6: e\d\.py/ }).waitFor();
        expect(!(await page.content()).includes(begun.result.taskId), 'the page knows the id');
        await row.locator('button').click();
        await page.locator('#confirm[open]', { hasText: 'finds the task cancelled' }).waitFor();
        await page.click('#confirm-yes');
        await row.waitFor({ state: 'detached' });
        for (const name of names) fs.rmSync(path.join(options.dir, name));
    });

    await check('a question that follows another at once gets its own answer', async () => {
        const running = hang();
        await hanging.waitFor();
        await page.evaluate(() => {
            const row = [...document.querySelectorAll('#calls tr[data-row]')].find(row => row.textContent.includes('child__sleep'));
            row.querySelector('button').click();
            document.getElementById('confirm').close('no');
            row.querySelector('button').click();
        });
        await page.click('#confirm-yes');
        expect((await running).error, 'it was not cancelled');
        await hanging.waitFor({ state: 'detached' });
    }, 20_000);

    await check('everything can be reached and used by keyboard', async () => {
        await page.evaluate(() => (document.activeElement?.blur(), scrollTo(0, 0)));
        await page.locator('.skip').focus();
        for (const selector of ['nav a', 'input[name=window]', '#theme', '#latency-chart .plot', '#tools input[type=search]', '#tools th button']) {
            await tabTo(page, selector);
        }
        const plot = page.locator('#latency-chart .plot');
        await plot.focus();
        for (let count = 0; count < 2; count++) await page.keyboard.press('ArrowLeft');
        const said = await plot.getAttribute('aria-valuetext');
        expect(/ago · \d\d:\d\d:\d\d: p50 .*p95 .*p99/.test(said), said);
        expect((await page.locator('#requests-chart .moment').textContent()).includes('ago'), 'the other charts show the same moment');
        await page.keyboard.press('Escape');
        await page.locator('#latency-chart header button').press('Enter');
        expect((await page.locator('#latency-chart table tbody tr').count()) > 0, 'the table has no rows');
        await page.locator('#latency-chart header button').press('Enter');
    });

    await check('tools are searched and sorted', async () => {
        await page.fill('#tools input[type=search]', 'GENERATED');
        expect((await page.locator('#tools tbody tr').count()) === 1, 'one tool has that name');
        await page.fill('#tools input[type=search]', '');
        await page.click('#tools .chips button:has-text("Slowest")');
        const p95 = await page.locator('#tools tbody td[data-figure=p95]').evaluateAll(cells => cells.map(cell => cell.dataset.value).filter(Boolean).map(Number));
        expect(p95.length > 3 && p95.every((value, index) => index === 0 || value <= p95[index - 1]), p95.join());
    });

    await check('the child that is killed is seen to be replaced', async () => {
        const pids = () => page.locator('#replicas [data-row="child child"] li').evaluateAll(items => items.map(item => Number(item.dataset.pid)));
        let killed;
        // One that has had its thousand calls may be on its way out.
        await until('a process that lives', async () => (killed = (await pids()).find(kill)));
        const took = await until('another process', async () => {
            const shown = await pids();
            return shown.length && !shown.includes(killed);
        });
        expect(took < SEEN_WITHIN_MS + 1000, `seen after ${took} ms`);
        return `${Math.round(took)} ms, with its start`;
    });

    await check('a replica that is killed is seen to be gone within 2 s', async () => {
        const port = new URL(replicas[1].url).host;
        const state = page.locator(`#replicas [data-row*="${port}"] [data-figure=state]`);
        expect((await state.getAttribute('data-value')) === 'closed', 'it was out before');
        process.kill(replicas[1].child.pid, 'SIGKILL');
        const took = await until('its state', async () => (await state.getAttribute('data-value')) !== 'closed');
        expect(took < SEEN_WITHIN_MS, `seen after ${took} ms`);
        return `${Math.round(took)} ms`;
    });

    for (const [name, settings] of [['light', { colorScheme: 'light' }], ['dark', { colorScheme: 'dark' }], ['narrow', { viewport: { width: 360, height: 780 } }]]) {
        await check(`screenshot: ${name}`, async () => {
            const other = await scene.open(browser, gateway.url, settings);
            await scene.shown(other.page);
            await sleep(700);
            await scene.shot(other.page, name);
            const wide = await other.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            expect(wide <= 0, `${wide} px to the side`);
            expect(!other.complaints.length, other.complaints.join('; '));
            await other.context.close();
        });
        await check(`axe has nothing serious to say: ${name}`, () => accessible(browser, gateway.url, name, settings));
    }

    await check('the choice of colours stands above that of the system', async () => {
        const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        await page.selectOption('#theme', 'dark');
        const dark = await ground();
        await page.reload();
        await scene.shown(page);
        expect((await ground()) === dark, 'forgotten');
        await page.selectOption('#theme', 'light');
        expect((await ground()) !== dark, 'no difference');
        await page.selectOption('#theme', 'auto');
    });

    await load.stop();
    await check('after the load every count is the one that was sent', async () => {
        await page.check('input[name=window][value="start"]', { force: true });
        await until('the end of all calls', async () => (await gateway.get('/admin/metrics?window=start')).all.in_flight === 0);
        for (const [name, { calls, errors }] of load.sent) {
            const row = page.locator(`#tools [data-row="${name}"]`);
            const value = figure => row.locator(`[data-figure=${figure}]`).getAttribute('data-value');
            await until(`${name}: ${calls} calls`, async () => Number(await value('requests')) === calls, 5000).catch(async () => {
                throw new Error(`${name}: ${await value('requests')} in place of ${calls}`);
            });
            const rate = Number(await value('errors'));
            expect(Math.abs(rate - errors / calls) < 1e-9, `${name}: errors ${rate} in place of ${errors / calls}`);
        }
        return `${[...load.sent.values()].reduce((sum, { calls }) => sum + calls, 0)} calls`;
    });

    await check('the page and /metrics say the same', async () => {
        const scraped = await fetch(new URL('/metrics', gateway.url));
        expect(scraped.ok, `status ${scraped.status}`);
        const { wrong, compared } = compareScraped(await page.evaluate(read), await scraped.text());
        expect(!wrong.length, wrong.slice(0, 6).join('; '));
        return `${compared} figures`;
    });

    await check('an alert is seen within 2 s of firing, and acknowledged', async () => {
        await page.check('input[name=window][value="10s"]', { force: true });
        const failing = scene.load(gateway.mcp, [['pair__test_error_handling', {}]], { clients: 2 });
        const fires = async () => (await gateway.get('/admin/alerts')).alerts.some(({ name, state }) => name === 'too-many-errors' && state === 'firing');
        await until('the alert', fires, 30_000);
        const took = await until('its sight', () => page.locator('#alerts [data-row=too-many-errors] [data-value=firing]').count());
        await scene.shot(page, 'firing');
        expect(took < SEEN_WITHIN_MS, `seen after ${took} ms`);
        expect((await page.title()).includes('alert'), await page.title());
        await page.click('#alerts [data-row=too-many-errors] button');
        await page.locator('#alerts [data-row=too-many-errors] [data-value=acknowledged]').waitFor();
        await failing.stop();
        return `${Math.round(took)} ms`;
    });

    await check('nobody else was asked for anything, and the browser had nothing to complain of', async () => {
        expect(!strangers.length, strangers.join());
        expect(!complaints.length, complaints.join('; '));
    });

    await check('a page of another origin can neither read, post, frame nor load', async () => {
        const other = await scene.stranger('<title>other</title>');
        const foreign = await browser.newContext();
        for (const from of [other.url, other.url.replace('127.0.0.1', 'localhost'), gateway.url.replace('127.0.0.1', 'rebound.test')]) {
            const tab = await foreign.newPage();
            await tab.goto(from);
            const tried = await tab.evaluate(async base => {
                const attempt = async work => work().then(answer => answer, error => `refused: ${error.name}`);
                const load = (tag, url) => new Promise(resolve => {
                    const node = document.createElement(tag);
                    node.onload = () => resolve('loaded');
                    node.onerror = () => resolve('refused');
                    node.src = url;
                    document.body.append(node);
                });
                const cancel = (type, mode) => () => fetch(`${base}admin/calls/cancel`, { method: 'POST', mode, headers: { 'Content-Type': type }, body: '{"call":"c-1"}' }).then(answer => answer.text());
                return {
                    read: await attempt(() => fetch(`${base}admin/metrics`).then(answer => answer.text())),
                    events: await attempt(() => fetch(`${base}admin/events`).then(answer => answer.text())),
                    json: await attempt(cancel('application/json', 'cors')),
                    form: await attempt(cancel('text/plain', 'no-cors')),
                    script: await load('script', `${base}assets/theme.js`),
                    image: await load('img', `${base}assets/icon.svg`)
                };
            }, gateway.url);
            for (const [what, result] of Object.entries(tried)) expect(result.startsWith('refused') || result === '', `${what} from ${from}: ${result.slice(0, 100)}`);
            await tab.close();
        }
        const frame = await foreign.newPage();
        await frame.goto(other.url);
        const framed = await frame.evaluate(base => new Promise(resolve => {
            const node = document.createElement('iframe');
            node.onload = () => resolve(node.contentDocument ? 'blank' : 'foreign');
            node.src = base;
            document.body.append(node);
        }), gateway.url);
        const inside = await frame.frames()[1].evaluate(() => Boolean(document.getElementById('tiles'))).catch(() => false);
        expect(!inside, `framed: ${framed}`);
        await foreign.close();
        other.close();
    });

    await check('open for long it does not grow', async () => {
        const cdp = await context.newCDPSession(page);
        const size = async () => {
            await cdp.send('HeapProfiler.collectGarbage');
            const { usedSize } = await cdp.send('Runtime.getHeapUsage');
            const { nodes } = await cdp.send('Memory.getDOMCounters');
            return { heap: usedSize, nodes };
        };
        const traffic = scene.load(gateway.mcp, MIX, { pause: 60 });
        // Until the history is full nothing can be said of what is kept; so it is measured from the first minute on.
        await sleep(scene.minutes ? 60_000 : 4_000);
        const before = await size();
        const memory = async () => (await gateway.get('/admin/metrics')).process.rss_bytes;
        const server = await memory();
        const steps = [];
        const ends = performance.now() + (scene.minutes ? scene.minutes * 60_000 : 10_000);
        while (performance.now() < ends) {
            await sleep(scene.minutes ? 60_000 : 5_000);
            steps.push((await size()).heap);
        }
        const after = await size();
        await page.evaluate(() => scrollTo(0, 0));
        await scene.shot(page, 'long', { fullPage: false });
        await traffic.stop();
        const grown = after.heap - before.heap;
        const note = `heap ${(before.heap / 1e6).toFixed(2)} → ${(after.heap / 1e6).toFixed(2)} MB, nodes ${before.nodes} → ${after.nodes}, server ${(server / 1e6).toFixed(1)} → ${((await memory()) / 1e6).toFixed(1)} MB; ${steps.map(heap => (heap / 1e6).toFixed(2)).join(' ')}`;
        expect(grown < 1e6 && after.nodes < before.nodes * 1.3 + 200, note);
        return note;
    }, scene.minutes * 60_000 + 120_000);

    await check('a server that goes away is seen to be gone, and its return too', async () => {
        const { address } = gateway;
        await gateway.stop();
        await page.locator('#gone:has-text("Disconnected since")').waitFor();
        await scene.shot(page, 'disconnected', { fullPage: false });
        gateway = await scene.gateway(table(replicas.slice(0, 1)), { listen: address });
        await page.locator('#link[data-state=live]').waitFor();
        expect(await page.locator('#gone').isHidden(), 'still said to be gone');
    });
    await gateway.stop();
    await context.close();

    await check('where a token is needed the page asks for it, and keeps it out of the URL', async () => {
        const guarded = await scene.gateway('[server]\nbearer_token = "sesame-sesame-0001"\n');
        const { context, page } = await scene.open(browser, guarded.url);
        await page.locator('#token[open]').waitFor();
        await page.keyboard.type('wrong');
        await page.keyboard.press('Enter');
        await sleep(500);
        await page.locator('#token[open]').waitFor();
        await page.fill('#token-value', 'sesame-sesame-0001');
        await page.click('#token-use');
        await scene.shown(page);
        expect(page.url() === guarded.url, page.url());
        expect(await page.evaluate(() => Object.values({ ...localStorage }).every(value => !value.includes('sesame'))), 'kept beyond the tab');
        await page.reload();
        await scene.shown(page);
        await context.close();
        await guarded.stop();
    });

    await fleets(browser, accessible);

    await check('with monitoring switched off the page says so', async () => {
        const off = await scene.gateway('[monitoring]\nenabled = false\n');
        const { context, page, complaints } = await scene.open(browser, off.url);
        await page.locator('#reasons:has-text("not measured")').waitFor();
        expect(!complaints.length, complaints.join('; '));
        await context.close();
        await off.stop();
    });
    await browser.close();
}

try {
    await main();
} catch (error) {
    console.log(`not ok the suite runs to its end: ${String(error?.stack ?? error).replaceAll('\n', ' ').slice(0, 600)}`);
    process.exitCode = 1;
} finally {
    await scene.stopAll();
}
process.exit();
