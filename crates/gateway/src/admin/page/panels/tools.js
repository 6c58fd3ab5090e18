// The tools that were called: which are used most, which are slow, which fill contexts.
import { byId, el, setAttribute, setText } from '../dom.js';
import { bytes, count, ms, percent, rate, tokens } from '../format.js';
import { Table } from '../table.js';

const VIEWS = [
    ['Most used', 'requests'],
    ['Slowest', 'p95'],
    ['Most errors', 'errors'],
    ['Most tokens', 'tokens']
];
let table;

export function build() {
    const host = byId('tools');
    const search = el('input', { type: 'search', placeholder: 'Find a tool, upstream or category', 'aria-label': 'Find a tool, upstream or category' });
    const chips = VIEWS.map(([label, column]) => el('button', { type: 'button', 'aria-pressed': 'false', 'data-column': column, onclick: () => table.sortBy(column, true) }, label));
    host.append(el('div', { class: 'bar' }, search, el('div', { class: 'chips', role: 'group', 'aria-label': 'Order of the tools' }, ...chips)));
    table = new Table(host, {
        label: 'Tools',
        key: row => row.name,
        most: 25,
        empty: 'No tool has been called yet.',
        matches: row => `${row.name} ${row.upstream} ${row.category ?? ''}`,
        sort: { name: 'requests', descending: true },
        columns: [
            {
                name: 'name',
                label: 'tool',
                value: row => row.name,
                cell: (place, row) => {
                    if (!place.firstChild) place.append(el('span'), el('span', { class: 'aside' }));
                    setText(place.firstChild, row.name);
                    setText(place.lastChild, [row.upstream, row.category].filter((part, index, all) => part && all.indexOf(part) === index).join(' · '));
                }
            },
            { name: 'requests', label: 'calls', value: row => row.requests, format: count, number: true, title: 'In this window' },
            { name: 'total', label: 'since start', value: row => row.total_requests, format: count, number: true, minor: true },
            { name: 'per_s', label: 'rate', value: row => row.per_s, format: rate, number: true },
            {
                name: 'errors',
                label: 'errors',
                value: row => row.error_rate,
                number: true,
                cell: (place, row) => {
                    setText(place, percent(row.error_rate));
                    setAttribute(place, 'data-value', row.error_rate ?? '');
                    place.classList.toggle('has-errors', row.error_rate > 0);
                }
            },
            { name: 'p50', label: 'p50', value: row => row.latency_ms?.p50, format: ms, number: true },
            { name: 'p95', label: 'p95', value: row => row.latency_ms?.p95, format: ms, number: true },
            { name: 'p99', label: 'p99', value: row => row.latency_ms?.p99, format: ms, number: true, minor: true },
            { name: 'overhead', label: 'ours p95', value: row => row.overhead_ms?.p95, format: ms, number: true, minor: true, title: 'What the gateway took of it' },
            { name: 'cached', label: 'cached', value: row => (row.requests ? row.from_cache / row.requests : null), format: percent, number: true, minor: true },
            { name: 'out', label: 'bytes out', value: row => row.response_bytes, format: bytes, number: true, minor: true },
            { name: 'tokens', label: 'result tokens', value: row => row.estimated_tokens, format: tokens, number: true },
            { name: 'definition', label: 'definition', value: row => row.definition_tokens, format: tokens, number: true, minor: true, title: 'Tokens of its entry in tools/list' }
        ]
    });
    search.addEventListener('input', () => table.find(search.value));
    const mark = ({ name, descending }) => {
        for (const chip of chips) setAttribute(chip, 'aria-pressed', String(descending && chip.dataset.column === name));
    };
    table.onsort = mark;
    mark(table.sort);
}

export function update({ tools, lists }) {
    setText(byId('tools-note'), `${count(tools.length)} called since start, of ${count(lists?.tools?.entries)} listed`);
    table.update(tools);
}
