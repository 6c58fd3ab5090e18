// Fleets: their agents, and the tasks that are at work or were submitted last. A task's output is shown, a task is cancelled.
import { post } from '../api.js';
import { confirm, say } from '../dialog.js';
import { byId, el, facts, keep, setAttribute, setText } from '../dom.js';
import { bytes, count, ms, span, things, words } from '../format.js';
import { showOutput } from '../output.js';
import { Table } from '../table.js';

/** Where each state of a task stands: a colour, and whether it can still be cancelled. */
const STATES = {
    running: ['good', true], retrying: ['warning', true], waiting: ['unknown', true], ready: ['unknown', true],
    scheduled: ['unknown', true], blocked: ['unknown', true], done: ['good', false], failed: ['critical', false],
    dead: ['critical', false], cancelled: ['unknown', false], skipped: ['unknown', false]
};
/** Rows that are shown at first. */
const TASKS = 8;
const AGENTS = 8;
let list;

async function cancel({ task_id, key }) {
    const go = await confirm({
        title: `Cancel ${key}?`,
        text: 'Its program is told to end, and killed if it does not. What it has already done stays done; tasks that depend on it never begin.',
        yes: 'Cancel the task',
        no: 'Let it be'
    });
    if (!go) return;
    try {
        await post('/admin/fleets/cancel', { id: task_id });
        say(`${key} is cancelled.`);
    } catch (error) {
        say(`Not cancelled: ${error.message}`, true);
    }
}

export function build() {
    list = el('div');
    byId('fleets').append(list);
}

const lasting = value => (value !== null && value < 60_000 ? ms(value) : span(value));
const took = ({ started, ended }) => (started ? (ended ? Date.parse(ended) : Date.now()) - Date.parse(started) : null);

function badge(place, state, text) {
    if (!place.firstChild) place.append(el('span', { class: 'badge' }));
    setAttribute(place.firstChild, 'data-state', state);
    setText(place.firstChild, text);
    setAttribute(place, 'data-value', text);
}

function two(place, first, second) {
    if (!place.firstChild) place.append(el('span'), el('span', { class: 'sub' }));
    setText(place.firstChild, first);
    setText(place.lastChild, second);
}

const agentColumns = [
    { name: 'agent', label: 'agent', cell: (place, row) => two(place, row.id, row.profile) },
    { name: 'state', label: 'state', cell: (place, row) => badge(place, row.state === 'starting' ? 'warning' : 'good', row.state) },
    { name: 'task', label: 'task', cell: (place, row) => two(place, row.key ?? row.current_task ?? '–', row.progress ?? '') },
    { name: 'pid', label: 'pid', value: row => row.pid, format: value => String(value ?? '–'), number: true, minor: true, title: 'None: it works in the server’s own process' },
    { name: 'uptime', label: 'up', value: row => row.uptime_ms, format: span, number: true },
    { name: 'memory', label: 'memory', value: row => row.rss_kb && row.rss_kb * 1024, format: bytes, number: true },
    { name: 'done', label: 'done', value: row => row.done, format: count, number: true },
    { name: 'failed', label: 'failed', value: row => row.failed, format: count, number: true }
];

function buttons(place, row) {
    place.className = 'action';
    place.row = row;
    if (!place.firstChild) {
        const hidden = el('span', { class: 'sr' });
        const same = el('span', { class: 'sr' });
        place.append(
            el('button', { type: 'button', onclick: () => showOutput(place.row) }, 'Output', hidden),
            el('button', { type: 'button', class: 'end', onclick: () => cancel(place.row) }, 'Cancel', same)
        );
        for (const name of [hidden, same]) setText(name, ` of task ${row.key}, ${row.task_id}`);
    }
    place.lastChild.hidden = !(STATES[row.state]?.[1] ?? false) || row.cancel_wanted;
}

const taskColumns = [
    { name: 'task', label: 'task', cell: (place, row) => two(place, row.key, row.profile) },
    {
        name: 'state',
        label: 'state',
        cell: (place, row) => badge(place, STATES[row.state]?.[0] ?? 'unknown', row.cancel_wanted && row.state === 'running' ? 'being stopped' : words(row.state))
    },
    { name: 'note', label: 'what is known', minor: true, cell: (place, row) => setText(place, row.error ?? row.progress ?? (row.waits_for ? `waits for ${things(row.waits_for, 'task')}` : '')) },
    { name: 'attempts', label: 'attempts', value: row => row.attempts, format: value => String(value), number: true, title: 'Attempts that have begun' },
    { name: 'took', label: 'took', value: took, format: lasting, number: true, title: 'Of the last attempt' },
    { name: 'act', label: '', cell: buttons }
];

function make({ name }) {
    const parts = { name: el('h3', {}, name), state: el('span'), note: el('span', { class: 'note' }), fault: el('p', { class: 'fault', hidden: true }), agents: el('div', { class: 'inner' }), tasks: el('div', { class: 'inner' }) };
    const figures = el('dl', { class: 'facts' });
    const node = el('article', { class: 'replica fleet' }, el('div', { class: 'head' }, parts.name, parts.state, parts.note), parts.fault, figures, parts.agents, parts.tasks);
    node.parts = parts;
    node.set = facts(figures, [
        ['running', 'running', count],
        ['ready', 'ready', count, 'Tasks that wait for an agent'],
        ['blocked', 'blocked', count, 'Tasks that wait for others, or for their time'],
        ['done', 'done', count, 'Tasks that succeeded, of the runs that are kept'],
        ['failed', 'failed', count, 'Tasks that failed for good'],
        ['cancelled', 'cancelled', count, 'Tasks that were cancelled or never begun'],
        ['per_minute', 'over in 1 min', count],
        ['restarts', 'agents died', count, 'Since this server works for the fleet']
    ]);
    node.agents = new Table(parts.agents, { label: `Agents of ${name}`, key: row => row.id, most: AGENTS, empty: 'No agent runs: one is started when there is a task for it.', columns: agentColumns });
    node.tasks = new Table(parts.tasks, { label: `Tasks of ${name}`, key: row => row.task_id, most: TASKS, empty: 'No task yet.', columns: taskColumns });
    node.tasks.heads.at(-1).append(el('span', { class: 'sr' }, 'actions'));
    return node;
}

function show(node, fleet) {
    const { state, note, fault } = node.parts;
    const { queue, effective } = fleet;
    const agents = fleet.agents ?? [];
    const degraded = fleet.degraded ?? [];
    setAttribute(node, 'data-row', fleet.fleet_id);
    const isBusy = queue.running + queue.ready + queue.retrying + queue.waiting > 0;
    if (fleet.agents === null) badge(state, 'unknown', 'not known');
    else if (degraded.length) badge(state, 'warning', 'degraded');
    else badge(state, isBusy ? 'good' : 'unknown', isBusy ? 'at work' : 'idle');
    setText(note, [effective.topology, things(agents.length, 'agent'), `${things(effective.max_concurrency, 'task')} at a time`, fleet.principal].join(' · '));
    fault.hidden = !degraded.length;
    setText(fault, degraded.join('; '));
    for (const name of ['running', 'ready', 'done']) node.set(name, queue[name]);
    node.set('blocked', queue.blocked + queue.scheduled + queue.waiting + queue.retrying);
    node.set('failed', queue.failed + queue.dead);
    node.set('cancelled', queue.cancelled + queue.skipped);
    node.set('per_minute', fleet.throughput_1m);
    node.set('restarts', fleet.restarts && Object.values(fleet.restarts).reduce((sum, deaths) => sum + deaths, 0));
    const keys = new Map(fleet.tasks.map(({ task_id, key }) => [task_id, key]));
    node.agents.update(agents.map(agent => ({ ...agent, key: keys.get(agent.current_task) })));
    node.tasks.update(fleet.tasks);
}

export function update(figures, points, document) {
    const fleets = document?.fleets ?? [];
    byId('fleets').hidden = byId('to-fleets').hidden = fleets.length === 0;
    const open = fleets.reduce((sum, { queue }) => sum + queue.running + queue.ready + queue.blocked + queue.retrying + queue.waiting + queue.scheduled, 0);
    const more = document?.total > fleets.length ? `, the newest ${fleets.length} shown` : '';
    setText(byId('fleets-note'), `${document?.total ?? 0} in this folder${more}, ${things(open, 'open task')}`);
    keep(list, fleets, ({ fleet_id }) => fleet_id, make, show);
}
