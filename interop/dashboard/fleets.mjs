// The part of fleets in a real browser: real agents run real tasks meanwhile.
import fs from 'node:fs';
import path from 'node:path';
import { check, expect } from '../clients/report.mjs';
import * as scene from './scene.mjs';

const WORK = 'echo begun "$1"; echo trouble >&2\nwhile [ ! -e "$1" ]; do sleep 0.1; done\nexit "$(cat "$1")"\n';

/** Runs all checks against a gateway of their own; `accessible` asks axe. */
export async function fleets(browser, accessible) {
    const folder = path.join(scene.options.dir, 'fleet');
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, 'work.sh'), WORK);
    const gateway = await scene.gateway(
        `[server]\nbuiltin = true\n[monitoring]\ndashboard_interval_ms = 500\n[qe]\nroots = ["${folder}"]\n` +
        '[[fleet.profile]]\nname = "script"\ncommand = "sh"\nargs = ["work.sh", "{what}"]\nparams = { what = ["*"] }\n'
    );
    const { context, page, complaints } = await scene.open(browser, gateway.url);
    await scene.shown(page);
    const ask = async (tool, args) => {
        const { result } = await scene.call(gateway.mcp, tool, args);
        expect(result && !result.isError, JSON.stringify(result).slice(0, 300));
        return result.structuredContent;
    };
    const submit = whats => ask('qe_task_orchestrate', { tasks: whats.map(what => ({ key: what, profile: 'script', args: { what } })) });
    const end = (what, code) => fs.writeFileSync(path.join(folder, what), `${code}`);
    const row = what => page.locator('#fleets tr[data-row^="run-"]', { hasText: what });
    const state = (what, wanted) => row(what).locator(`[data-figure=state][data-value="${wanted}"]`).waitFor();

    await check('without a fleet there is no part for them', async () => {
        await page.waitForTimeout(1200);
        expect(await page.locator('#fleets').isHidden() && await page.locator('#to-fleets').isHidden(), 'shown all the same');
    });

    await check('agents and tasks are seen as they come and go', async () => {
        await ask('qe_fleet_init', { workers: [{ profile: 'script', min: 1, max: 2 }], max_concurrency: 2 });
        await page.locator('#fleets').waitFor();
        await submit(['first', 'second', 'third <b>']);
        await state('first', 'running');
        await page.locator('#fleets tr[data-row^="a"] [data-figure=state][data-value=busy]').nth(1).waitFor();
        await state('third <b>', 'ready');
        expect(await page.locator('#fleets b').count() === 0, 'a key became markup');
        const shown = await gateway.get('/admin/fleets');
        const pids = await page.locator('#fleets [data-figure=pid]').evaluateAll(cells => cells.map(cell => Number(cell.dataset.value)));
        expect(shown.fleets[0].agents.every(({ pid }) => pids.includes(pid)), `${pids} on the page`);
        end('first', 3);
        await state('first', 'dead');
    });

    await check('what a task wrote is shown, and closed again, by keyboard', async () => {
        const button = row('first').locator('button', { hasText: 'Output' });
        await button.focus();
        await page.keyboard.press('Enter');
        await page.locator('#output[open] pre', { hasText: 'begun first' }).first().waitFor();
        await page.locator('#output[open] pre', { hasText: 'trouble' }).first().waitFor();
        expect((await page.locator('#output-text h3').first().textContent()).includes('exit code 3'), 'no word of the code');
        await scene.shot(page, 'fleet-output', { fullPage: false });
        await page.keyboard.press('Escape');
        await page.locator('#output[open]').waitFor({ state: 'detached' });
        expect(await button.evaluate(node => node === document.activeElement), 'the focus is elsewhere');
    });

    await check('a task is cancelled after a question', async () => {
        await row('second').locator('button', { hasText: 'Cancel' }).click();
        await page.locator('#confirm[open]', { hasText: 'Cancel second?' }).waitFor();
        await page.keyboard.press('Escape');
        await state('second', 'running');
        await row('second').locator('button', { hasText: 'Cancel' }).click();
        await page.click('#confirm-yes');
        await state('second', 'cancelled');
        expect(await row('second').locator('button', { hasText: 'Cancel' }).isHidden(), 'it can be cancelled again');
    });

    for (const [name, settings] of [['light', { colorScheme: 'light' }], ['dark', { colorScheme: 'dark' }], ['narrow', { viewport: { width: 360, height: 780 } }]]) {
        await check(`fleets, ${name}: axe has nothing serious to say, nothing is too wide`, async () => {
            const other = await scene.open(browser, gateway.url, settings);
            await other.page.locator('#fleets tr[data-row^="run-"]').first().waitFor();
            await other.page.locator('#fleets').screenshot({ path: path.join(scene.options.shots, `fleets-${name}.png`) });
            const wide = await other.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            expect(wide <= 0, `${wide} px to the side`);
            await other.context.close();
            return accessible(browser, gateway.url, name, settings, page => page.locator('#fleets tr[data-row^="run-"]').first().waitFor());
        });
    }
    expect(!complaints.length, complaints.join('; '));
    end('third <b>', 0);
    await context.close();
    await gateway.stop();
}
