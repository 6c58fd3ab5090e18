// Errors by category and kind.
import { byId, el, keep, setFigure, setText, facts } from '../dom.js';
import { count, percent, words } from '../format.js';

const REFUSED = ['parse', 'unauthorized', 'origin', 'headers', 'session', 'too_large'];
let head, body, table, none, refused, refusedSet;

export function build() {
    head = el('tr', { role: 'row' });
    body = el('tbody', { role: 'rowgroup' });
    table = el('table', { role: 'table', 'aria-label': 'Errors by category and kind' }, el('thead', { role: 'rowgroup' }, head), body);
    none = el('p', { class: 'empty' }, 'No errors in this window.');
    const list = el('dl', { class: 'facts' });
    refusedSet = facts(list, REFUSED.map(name => [`refused-${name}`, words(name), count]));
    refused = el('div', { class: 'inner' }, el('header', {}, el('h3', {}, 'Refused before they were requests, since start')), list);
    byId('errors').append(table, none, refused);
}

export function update(figures) {
    const { all, categories, methods } = figures;
    const rows = [...categories.map(row => ({ ...row, group: 'category' })), ...methods.map(row => ({ ...row, group: 'method' }))].filter(row => row.errors > 0);
    const kinds = Object.keys(all.errors_by_kind ?? {}).filter(kind => all.errors_by_kind[kind] > 0).sort();
    setText(byId('errors-note'), all.requests ? `${count(all.errors)} of ${count(all.requests)} requests, ${percent(all.error_rate)}` : 'no requests in this window');
    table.hidden = kinds.length === 0;
    none.hidden = kinds.length > 0;
    keep(head, ['', ...kinds, 'all'], kind => kind, () => el('th', { scope: 'col', role: 'columnheader', class: 'number' }), (node, kind) => {
        setText(node, kind === '' ? 'of' : words(kind));
        node.className = kind === '' ? '' : 'number';
    });
    const lines = [...rows, { ...all, name: 'all', group: 'total' }];
    keep(body, lines, ({ group, name }) => `${group} ${name}`, () => el('tr', { role: 'row' }), (node, row) => {
        keep(
            node,
            ['', ...kinds, 'all'],
            kind => kind,
            kind => (kind === '' ? el('th', { scope: 'row', role: 'rowheader' }) : el('td', { role: 'cell', class: 'number', 'data-label': kind === 'all' ? 'all' : words(kind), 'data-figure': kind })),
            (cell, kind) => {
                if (kind === '') return setText(cell, row.group === 'total' ? 'all requests' : row.name);
                const value = kind === 'all' ? row.errors : (row.errors_by_kind?.[kind] ?? 0);
                setFigure(cell, value, value => (value ? count(value) : '·'));
                cell.classList.toggle('has-errors', value > 0 && row.group !== 'total');
            }
        );
    });
    refused.hidden = !REFUSED.some(name => figures.refused?.[name]);
    for (const name of REFUSED) refusedSet(`refused-${name}`, figures.refused?.[name]);
}
