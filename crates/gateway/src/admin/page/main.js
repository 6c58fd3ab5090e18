// The page: takes the figures as they come and hands them to the panels.
import { Refused } from './api.js';
import { askToken } from './dialog.js';
import { byId, setText } from './dom.js';
import { Feed } from './feed.js';
import { clock, span } from './format.js';
import { Points } from './points.js';
import * as alerts from './panels/alerts.js';
import * as cache from './panels/cache.js';
import * as calls from './panels/calls.js';
import * as categories from './panels/categories.js';
import * as errors from './panels/errors.js';
import * as fleets from './panels/fleets.js';
import * as foot from './panels/foot.js';
import * as health from './panels/health.js';
import * as lookups from './panels/lookups.js';
import * as pool from './panels/pool.js';
import * as process from './panels/process.js';
import * as replicas from './panels/replicas.js';
import * as tiles from './panels/tiles.js';
import * as tools from './panels/tools.js';
import * as traffic from './panels/traffic.js';

const panels = [health, tiles, traffic, alerts, calls, fleets, errors, categories, pool, cache, lookups, process, replicas, tools, foot];
for (const panel of panels) panel.build();

const points = new Points();
let figures = null;
let work = null;
let drawing = false;
let lostAt = null;

/** What a server that measures no calls leaves out. */
const EMPTY = {
    health: { status: 'unknown', reasons: [] }, all: { errors_by_kind: {} }, categories: [], upstreams: [], tools: [], methods: [],
    refused: {}, lookups: {}, lists: {}, replicas: [], process: {}, calls: []
};
const complete = document => Object.fromEntries([...new Set([...Object.keys(EMPTY), ...Object.keys(document)])].map(name => [name, document[name] ?? EMPTY[name]]));

/** Once for what has come together, and before the browser paints. */
function draw() {
    if (drawing) return;
    drawing = true;
    // Not called in the background, where the title is all there is to see.
    requestAnimationFrame(() => {
        drawing = false;
        if (!figures) return;
        for (const panel of panels) panel.update(figures, points, work);
        document.documentElement.dataset.at = figures.at;
    });
}

async function loadHistory() {
    try {
        await points.load();
        draw();
    } catch { /* The stream brings the newest points, and says what is wrong. */ }
}

function connected() {
    const place = byId('link');
    place.dataset.state = 'live';
    setText(place, 'live');
    byId('gone').hidden = true;
    document.documentElement.classList.remove('stale');
    if (lostAt !== null) setText(byId('announce'), 'Connected again.');
    lostAt = null;
}

function showGone(reason) {
    const place = byId('link');
    place.dataset.state = 'gone';
    setText(place, 'disconnected');
    byId('gone').hidden = false;
    setText(byId('gone'), `Disconnected since ${clock(lostAt)} (${span(Date.now() - lostAt)}): ${reason}. What is shown is from before; trying again.`);
    document.documentElement.classList.toggle('stale', figures !== null);
}

function reasonOf(error) {
    // What browsers say of a refused connection tells nobody anything.
    return error instanceof TypeError ? 'the server does not answer' : error.message;
}

const feed = new Feed('1m', {
    metrics(document) {
        connected();
        if (!figures && document.monitoring !== false) loadHistory();
        figures = complete(document);
        if (globalThis.document.hidden) health.title(figures);
        draw();
    },
    fleets(document) {
        work = document;
        draw();
    },
    points(newest) {
        if (points.add(newest)) loadHistory();
        draw();
    },
    gone(error) {
        if (error instanceof Refused && error.status === 401) {
            askToken('This server asks for its token. It is kept until this tab is closed.').then(() => feed.restart());
        }
        if (lostAt === null) {
            lostAt = Date.now();
            setText(byId('announce'), 'Disconnected from the server.');
        }
        showGone(reasonOf(error));
    }
});

for (const choice of document.querySelectorAll('input[name="window"]')) {
    choice.addEventListener('change', () => feed.restart(choice.value));
}

const theme = byId('theme');
theme.value = document.documentElement.dataset.theme ?? 'auto';
theme.addEventListener('change', () => {
    if (theme.value === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.value;
    try { localStorage.setItem('aqe-theme', theme.value); } catch { /* For this page alone, then. */ }
});

// A page that the browser restores keeps the choice of before.
feed.window = document.querySelector('input[name="window"]:checked').value;
feed.restart();
