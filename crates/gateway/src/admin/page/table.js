// A table with sorting and search. On a narrow screen each row becomes a card (see style.css), which would take its
// meaning from browsers: so the roles are said.
import { el, keep, setAttribute, setFigure, setText } from './dom.js';

export class Table {
    #rows = [];
    #all = false;

    /**
     * `columns`: `{ name, label, title?, value: row → sort value, format?, cell?: (td, row) → void, number?, minor? }`; the first one
     * is the row's heading, and cards go without the minor ones. `key` tells rows apart; `most` rows are shown at first.
     */
    constructor(host, { label, columns, key, sort, most = Infinity, empty, matches }) {
        Object.assign(this, { columns, key, most, emptyText: empty, matches, search: '' });
        this.sort = sort;
        const heads = columns.map(column => {
            if (!sort || !column.value) return el('th', { scope: 'col', role: 'columnheader', class: column.number ? 'number' : null, title: column.title }, column.label);
            const button = el('button', { type: 'button', onclick: () => this.sortBy(column.name) }, column.label);
            return el('th', { scope: 'col', role: 'columnheader', class: column.number ? 'number' : null, title: column.title, 'data-column': column.name }, button);
        });
        this.heads = heads;
        this.body = el('tbody', { role: 'rowgroup' });
        this.table = el('table', { role: 'table', 'aria-label': label }, el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...heads)), this.body);
        this.empty = el('p', { class: 'empty' });
        this.more = el('button', { type: 'button', class: 'quiet more', onclick: () => ((this.#all = !this.#all), this.draw()) });
        host.append(this.table, this.empty, this.more);
        this.#markSort();
    }

    sortBy(name, descending) {
        const column = this.columns.find(column => column.name === name);
        const usual = Boolean(column.number);
        this.sort = { name, descending: descending ?? (this.sort.name === name ? !this.sort.descending : usual) };
        this.#markSort();
        this.draw();
    }

    #markSort() {
        if (!this.sort) return;
        for (const head of this.heads) {
            const isSorted = head.dataset.column === this.sort.name;
            setAttribute(head, 'aria-sort', isSorted ? (this.sort.descending ? 'descending' : 'ascending') : null);
        }
        this.onsort?.(this.sort);
    }

    find(text) {
        this.search = text.trim().toLowerCase();
        this.draw();
    }

    update(rows) {
        this.#rows = rows;
        this.draw();
    }

    draw() {
        let rows = this.search ? this.#rows.filter(row => this.matches(row).toLowerCase().includes(this.search)) : [...this.#rows];
        if (this.sort) {
            const { value } = this.columns.find(column => column.name === this.sort.name);
            const sign = this.sort.descending ? -1 : 1;
            // What is not known comes last either way; equals keep an order that does not jump.
            rows.sort((a, b) => {
                const [x, y] = [value(a), value(b)];
                if ((x ?? null) === null || (y ?? null) === null) return ((x ?? null) === null) - ((y ?? null) === null) || this.key(a).localeCompare(this.key(b));
                return sign * (typeof x === 'string' ? x.localeCompare(y) : x - y) || this.key(a).localeCompare(this.key(b));
            });
        }
        const count = rows.length;
        if (!this.#all) rows = rows.slice(0, this.most);
        this.table.hidden = count === 0;
        this.empty.hidden = count > 0;
        setText(this.empty, this.#rows.length ? `Nothing matches “${this.search}”.` : this.emptyText);
        this.more.hidden = count <= this.most;
        setText(this.more, this.#all ? `Show ${this.most} only` : `Show all ${count}`);
        keep(this.body, rows, this.key, () => this.#make(), (node, row) => this.#fill(node, row));
    }

    #make() {
        return el(
            'tr',
            { role: 'row' },
            ...this.columns.map(({ label, number, minor }, index) =>
                index === 0
                    ? el('th', { scope: 'row', role: 'rowheader' })
                    : el('td', { role: 'cell', 'data-label': label, class: [number && 'number', minor && 'minor'].filter(Boolean).join(' ') || null })
            )
        );
    }

    #fill(node, row) {
        setAttribute(node, 'data-row', this.key(row));
        this.columns.forEach(({ name, value, format, cell }, index) => {
            const place = node.children[index];
            if (cell) cell(place, row);
            else setFigure(place, value(row), format ?? String);
            setAttribute(place, 'data-figure', name);
        });
    }
}
