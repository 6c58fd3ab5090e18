// The command line that the client scripts share.
//
//   SCRIPT [--era legacy|auto|modern] [--version V] [--dir DIR] [--only UPSTREAM] --url URL
//   SCRIPT …                                                                     -- COMMAND ARG…
//
// --era      how the client negotiates (default legacy)
// --version  the revision that must come out of it (default: any)
// --dir      the folder in which the run has put its files
// --only     the server is this one upstream itself, without a gateway:
//            bare names, and only the checks that concern it
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
        era: { type: 'string', default: 'legacy' },
        version: { type: 'string' },
        dir: { type: 'string', default: process.cwd() },
        only: { type: 'string' },
        url: { type: 'string' }
    }
});
if (!values.url === !positionals.length) throw new Error('give either --url URL or -- COMMAND');

export const { era, version, dir, only, url } = values;
export const [command, ...args] = positionals;
/** Distinguishes what this run writes from what others wrote. */
export const run = `run-${era}-${url ? 'http' : 'stdio'}-${process.pid}`;

/** The name under which a tool or prompt of `upstream` is shown. */
export const shown = (upstream, name) => (only ? name : `${upstream}__${name}`);

const fill = text => text.replaceAll('${DIR}', dir).replaceAll('${RUN}', run);
const table = JSON.parse(readFileSync(new URL('../checks.json', import.meta.url)), (_key, value) =>
    typeof value === 'string' ? fill(value) : value
);
const mine = upstream => !only || only === upstream;
const pick = part => Object.entries(part).filter(([upstream]) => mine(upstream));

/** The table of checks.json, placeholders filled in, less what does not concern this run. */
export const upstreams = table.upstreams.filter(mine);
export const calls = table.calls.filter(call => mine(call.upstream));
export const resources = pick(table.resources);
export const templates = pick(table.templates);
export const prompts = pick(table.prompts);
