// Alerts that are pending, firing or acknowledged, and those that are over.
import { get, post } from '../api.js';
import { say } from '../dialog.js';
import { byId, el, keep, setAttribute, setText } from '../dom.js';
import { bytes, clock, count, ms, percent, rate, span, words } from '../format.js';
import { Table } from '../table.js';

const STATES = { firing: 'critical', pending: 'warning', acknowledged: 'warning' };
const UNITS = { ms, bytes, share: percent, per_s: rate, number: count };
/** Alerts that are over, as many as are shown. */
const PAST = 5;
let table, past, list;
let known = null;

const scopeOf = scope => (scope && scope.kind !== 'all' ? [scope.kind, scope.upstream, scope.name].filter(Boolean).join(' ') : null);

async function acknowledge({ name }) {
    try {
        await post('/admin/alerts/ack', { name, by: 'dashboard' });
        say(`${name} is acknowledged.`);
    } catch (error) {
        say(`Not acknowledged: ${error.message}`, true);
    }
}

function two(place, tag, attributes) {
    if (!place.firstChild) place.append(el(tag, attributes), el('span', { class: 'sub' }));
    return place.children;
}

export function build() {
    const host = byId('alerts');
    table = new Table(host, {
        label: 'Alerts',
        key: row => row.name,
        empty: 'No alert is pending or firing.',
        columns: [
            {
                name: 'name',
                label: 'alert',
                cell: (place, row) => {
                    const [name, text] = two(place, 'span');
                    setText(name, row.name);
                    setText(text, row.text ?? scopeOf(row.scope) ?? '');
                }
            },
            {
                name: 'state',
                label: 'state',
                cell: (place, row) => {
                    const [state, since] = two(place, 'span', { class: 'badge' });
                    setAttribute(state, 'data-state', row.state === 'firing' && row.severity === 'info' ? 'warning' : (STATES[row.state] ?? 'unknown'));
                    setText(state, row.state);
                    setAttribute(place, 'data-value', row.state);
                    const by = row.ack ? `by ${row.ack.by}` : row.severity;
                    setText(since, row.since ? `${by}, for ${span(Date.now() - Date.parse(row.since))}` : by);
                }
            },
            {
                name: 'value',
                label: 'value',
                number: true,
                cell: (place, row) => {
                    const format = UNITS[row.unit] ?? count;
                    const [value, limit] = two(place, 'span');
                    setText(value, format(row.value));
                    setText(limit, `limit ${format(row.threshold)}`);
                    setAttribute(place, 'data-value', row.value ?? '');
                }
            },
            {
                name: 'ack',
                label: '',
                cell: (place, row) => {
                    place.className = 'action';
                    place.row = row;
                    if (!place.firstChild) place.append(el('button', { type: 'button', onclick: () => acknowledge(place.row) }, 'Acknowledge', el('span', { class: 'sr' }, ` ${row.name}`)));
                    place.firstChild.hidden = row.state !== 'firing';
                }
            }
        ]
    });
    table.heads.at(-1).append(el('span', { class: 'sr' }, 'action'));
    list = el('ul', { class: 'past' });
    past = el('div', { class: 'inner', hidden: true }, el('header', {}, el('h3', {}, 'Over')), list);
    host.append(past);
}

/** Asked for when an alert comes or goes: it changes at no other time. */
async function showPast() {
    let history;
    try {
        ({ history } = await get(`/admin/alerts?history=${PAST}`));
    } catch {
        return;
    }
    past.hidden = history.length === 0;
    keep(
        list,
        history,
        ({ id }) => id,
        ({ name, started, ended }) => el('li', {}, el('span', {}, name), el('span', { class: 'aside' }, `${clock(started)}, for ${span(Date.parse(ended) - Date.parse(started))}`)),
        () => {}
    );
}

export function update({ alerts: open }) {
    // A server that measures no calls has no alerts.
    const alerts = open ?? [];
    const firing = alerts.filter(({ state }) => state === 'firing').length;
    setText(byId('alerts-note'), firing ? `${firing} firing` : '');
    table.update(alerts);
    const now = alerts.map(({ name, state }) => `${name} ${state}`).join();
    if (open && now !== known) showPast();
    known = now;
}
