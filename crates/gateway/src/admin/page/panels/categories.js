// Requests by category of tool, by upstream, and by method.
import { byId, el } from '../dom.js';
import { bytes, count, ms, percent, rate } from '../format.js';
import { Table } from '../table.js';

let table;

export const calls = [
    { name: 'requests', label: 'requests', value: row => row.requests, format: count, number: true },
    { name: 'per_s', label: 'rate', value: row => row.per_s, format: rate, number: true },
    { name: 'errors', label: 'errors', value: row => row.error_rate, format: percent, number: true },
    { name: 'p50', label: 'p50', value: row => row.latency_ms?.p50, format: ms, number: true },
    { name: 'p95', label: 'p95', value: row => row.latency_ms?.p95, format: ms, number: true },
    { name: 'out', label: 'bytes out', value: row => row.response_bytes, format: bytes, number: true }
];

export function build() {
    table = new Table(byId('categories'), {
        label: 'Requests by category, upstream and method',
        key: row => `${row.group} ${row.name}`,
        empty: 'No calls yet.',
        most: 12,
        sort: { name: 'requests', descending: true },
        columns: [
            {
                name: 'name',
                label: 'name',
                value: row => row.name,
                cell: (place, row) => {
                    if (!place.firstChild) place.append(el('span'), el('span', { class: 'aside' }));
                    place.firstChild.textContent = row.name;
                    place.lastChild.textContent = row.group;
                }
            },
            ...calls
        ]
    });
}

export function update({ categories, upstreams, methods }) {
    const of = (rows, group) => rows.map(row => ({ ...row, group }));
    table.update([...of(categories, 'category'), ...of(upstreams, 'upstream'), ...of(methods, 'method')]);
}
