// Alerts that are pending, firing or acknowledged.
import { post } from '../api.js';
import { say } from '../dialog.js';
import { byId, el, setAttribute, setText } from '../dom.js';
import { bytes, ms, percent, span, text, words } from '../format.js';
import { Table } from '../table.js';

const STATES = { firing: 'critical', pending: 'warning', acknowledged: 'warning' };
const ORDER = ['firing', 'acknowledged', 'pending'];
let table;

/** A value with the unit of its signal. */
function written(signal, value) {
    if (/rate|ratio|utili[sz]ation/.test(signal ?? '')) return percent(value);
    if (/memory|bytes|rss/.test(signal ?? '')) return bytes(value);
    if (/latency|time|_ms$/.test(signal ?? '')) return ms(value);
    return text(value);
}

async function acknowledge({ name }) {
    try {
        await post('/admin/alerts/ack', { name });
        say(`${name} is acknowledged.`);
    } catch (error) {
        say(`Not acknowledged: ${error.message}`, true);
    }
}

export function build() {
    table = new Table(byId('alerts'), {
        label: 'Alerts',
        key: row => row.name,
        empty: 'No alert is pending or firing.',
        columns: [
            {
                name: 'name',
                label: 'alert',
                cell: (place, row) => {
                    if (!place.firstChild) place.append(el('span'), el('span', { class: 'sub' }));
                    setText(place.firstChild, row.name);
                    setText(place.lastChild, [row.severity, row.scope && row.scope !== 'all' ? text(row.scope) : null].filter(Boolean).join(' · '));
                }
            },
            {
                name: 'state',
                label: 'state',
                cell: (place, row) => {
                    if (!place.firstChild) place.append(el('span', { class: 'badge' }), el('span', { class: 'sub' }));
                    setAttribute(place.firstChild, 'data-state', STATES[row.state] ?? 'unknown');
                    setText(place.firstChild, row.state);
                    setText(place.lastChild, row.since ? `for ${span(Date.now() - Date.parse(row.since))}` : '');
                }
            },
            {
                name: 'value',
                label: 'value',
                number: true,
                cell: (place, row) => {
                    if (!place.firstChild) place.append(el('span'), el('span', { class: 'sub' }));
                    setText(place.firstChild, written(row.signal, row.value));
                    setText(place.lastChild, row.threshold === undefined ? '' : `${words(row.signal)}, limit ${written(row.signal, row.threshold)}`);
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
}

export function update({ alerts }) {
    const rows = [...(alerts ?? [])].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
    const firing = rows.filter(({ state }) => state === 'firing').length;
    setText(byId('alerts-note'), firing ? `${firing} firing` : '');
    table.update(rows);
}
