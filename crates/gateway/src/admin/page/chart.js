// A chart of the last minutes: lines, areas or a stack over time, read by eye, pointer, keyboard or as a table.
import { el, setAttribute, setText, svg } from './dom.js';
import { clock } from './format.js';

const SPAN_MS = 300_000;
const MARGIN = { top: 8, right: 10, bottom: 20, left: 54 };
const HEIGHT = 168;
/** Rows of the table are this far apart. */
const ROW_MS = 10_000;

/** All charts show the same moment: `null`, the newest. */
const cursor = { at: null, charts: new Set() };

function moveCursor(at) {
    cursor.at = at;
    for (const chart of cursor.charts) chart.showCursor();
}

/** Round numbers from 0 to at least `most`, some four of them, none closer than `least`. */
export function ticks(most, least = 0, wanted = 4) {
    if (!(most > 0)) return [0, 1];
    const rough = Math.max(most / wanted, least);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map(factor => factor * power).find(candidate => candidate >= rough * 0.999);
    const count = Math.ceil(most / step - 1e-9);
    return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

const ago = ms => (ms < 500 ? 'now' : `${Math.floor(Math.round(ms / 1000) / 60)}:${String(Math.round(ms / 1000) % 60).padStart(2, '0')} ago`);

export class Chart {
    #points = [];
    #step = 1000;
    #width = 0;
    #most = 1;
    #window = SPAN_MS;

    /**
     * `series`: `{ name, label, of: point → number | null, kind: 'line' | 'area' | 'stack' | 'limit' }`, drawn in this order.
     * `format` writes a figure; `least` is the least that the axis reaches, `apart` the least between two of its marks.
     */
    constructor(host, { title, series, format, least = 4, apart = 0, note }) {
        this.series = series.map((one, index) => ({ ...one, style: `s${index + 1}` }));
        this.format = format;
        this.least = least;
        this.apart = apart;
        const id = `chart-${host.id}`;
        this.legend = el('dl', { class: 'legend' });
        this.values = this.series.map(({ name, label, style, kind }) => {
            const value = el('dd', { 'data-series': name });
            this.legend.append(el('div', {}, el('dt', {}, el('span', { class: `swatch ${style} ${kind}` }), label), value));
            return value;
        });
        this.moment = el('span', { class: 'moment' }, 'now');
        this.toggle = el('button', { type: 'button', class: 'quiet', 'aria-expanded': 'false', 'aria-controls': `${id}-table`, onclick: () => this.#toggleTable() }, 'Table');
        this.toggle.append(el('span', { class: 'sr' }, ` of ${title}`));
        this.grid = svg('g', { class: 'grid' });
        this.lines = svg('g', { class: 'lines' });
        this.band = svg('rect', { class: 'band', y: MARGIN.top, height: HEIGHT - MARGIN.top - MARGIN.bottom });
        this.mark = svg('line', { class: 'cursor', y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom });
        this.drawing = svg('svg', { height: HEIGHT, 'aria-hidden': 'true', focusable: 'false' }, this.band, this.grid, this.lines, this.mark);
        this.plot = el(
            'div',
            {
                class: 'plot',
                tabindex: '0',
                role: 'slider',
                'aria-label': `${title}: moment within the last five minutes`,
                'aria-valuemin': '-300',
                'aria-valuemax': '0',
                'aria-valuenow': '0',
                onpointermove: event => this.#point(event),
                onpointerdown: event => this.#point(event),
                onpointerleave: () => moveCursor(null),
                onblur: () => moveCursor(null),
                onkeydown: event => this.#key(event)
            },
            this.drawing
        );
        this.empty = el('p', { class: 'empty', hidden: true }, 'Nothing in the last five minutes.');
        this.plot.append(this.empty);
        this.table = el('div', { class: 'numbers', id: `${id}-table`, hidden: true, tabindex: '0', role: 'region', 'aria-label': `${title}, as a table` });
        host.classList.add('chart');
        host.append(
            el('header', {}, el('h3', {}, title), note ? el('span', { class: 'note' }, note) : null, this.moment, this.toggle),
            this.legend,
            this.plot,
            this.table
        );
        new ResizeObserver(([entry]) => this.#resize(entry.contentRect.width)).observe(this.plot);
        cursor.charts.add(this);
    }

    /** Draws points, oldest first; `windowMs` is the time that the figures of the page are about. */
    update(points, step, windowMs) {
        this.#points = points;
        this.#step = step;
        this.#window = Math.min(windowMs, SPAN_MS);
        this.#draw();
    }

    get #now() {
        return this.#points.at(-1)?.at ?? 0;
    }

    #x(at) {
        const width = this.#width - MARGIN.left - MARGIN.right;
        return MARGIN.left + width * (1 - (this.#now - at) / SPAN_MS);
    }

    #y(value) {
        return HEIGHT - MARGIN.bottom - ((HEIGHT - MARGIN.top - MARGIN.bottom) * value) / this.#most;
    }

    #resize(width) {
        this.#width = Math.floor(width);
        setAttribute(this.drawing, 'width', this.#width);
        setAttribute(this.drawing, 'viewBox', `0 0 ${this.#width} ${HEIGHT}`);
        this.#draw();
    }

    #draw() {
        if (this.#width < 80) return;
        const seen = this.#points.filter(({ at }) => at >= this.#now - SPAN_MS);
        // Of a stack each series stands on those before it.
        const below = new Float64Array(seen.length);
        const drawn = this.series.map(series => {
            const values = seen.map(point => series.of(point) ?? null);
            if (series.kind !== 'stack') return { series, values };
            const base = Float64Array.from(below);
            values.forEach((value, index) => (below[index] += value ?? 0));
            return { series, values: values.map((value, index) => (value === null ? null : below[index])), base };
        });
        const all = drawn.filter(({ series }) => series.kind !== 'limit').flatMap(({ values }) => values);
        const most = all.reduce((most, value) => (value > most ? value : most), 0);
        const steps = ticks(Math.max(most, this.least), this.apart);
        this.#most = steps.at(-1);
        this.empty.hidden = all.some(value => value !== null);
        this.#drawGrid(steps);
        this.lines.replaceChildren(...drawn.flatMap(one => this.#shapes(seen, one)));
        const edge = Math.max(MARGIN.left, this.#x(this.#now - this.#window));
        setAttribute(this.band, 'x', edge);
        setAttribute(this.band, 'width', Math.max(0, this.#x(this.#now) - edge));
        this.showCursor();
        if (!this.table.hidden) this.#fillTable();
    }

    #drawGrid(steps) {
        const left = MARGIN.left;
        const right = this.#width - MARGIN.right;
        const across = steps.flatMap(step => [
            svg('line', { x1: left, x2: right, y1: this.#y(step), y2: this.#y(step), class: step === 0 ? 'axis' : null }),
            svg('text', { x: left - 6, y: this.#y(step) + 4, 'text-anchor': 'end' }, this.format(step))
        ]);
        const minutes = right - left < 300 ? [4, 2, 0] : [5, 4, 3, 2, 1, 0];
        const along = minutes.flatMap(minute => {
            const x = this.#x(this.#now - minute * 60_000);
            const anchor = minute === 0 ? 'end' : minute === 5 ? 'start' : 'middle';
            return [
                svg('line', { x1: x, x2: x, y1: HEIGHT - MARGIN.bottom, y2: HEIGHT - MARGIN.bottom + 4, class: 'axis' }),
                svg('text', { x, y: HEIGHT - 4, 'text-anchor': anchor }, minute === 0 ? 'now' : `−${minute} min`)
            ];
        });
        this.grid.replaceChildren(...across, ...along);
    }

    /** The runs of points between which none is missing. */
    #runs(points, values) {
        const runs = [];
        let run = null;
        let before = -Infinity;
        points.forEach(({ at }, index) => {
            if (values[index] === null) return (run = null);
            if (!run || at - before > 2.5 * this.#step) runs.push((run = []));
            run.push(index);
            before = at;
        });
        return runs;
    }

    #shapes(points, { series: { kind, style }, values, base }) {
        const at = index => this.#x(points[index].at).toFixed(1);
        const place = (index, value) => `${at(index)},${this.#y(Math.min(value, this.#most * 1.1)).toFixed(1)}`;
        const lines = [];
        const areas = [];
        for (const run of this.#runs(points, values)) {
            const line = run.map(index => place(index, values[index])).join('L');
            // A single point has no length; a round cap makes it a dot.
            lines.push(run.length === 1 ? `M${line}h0.01` : `M${line}`);
            if (kind === 'area' || kind === 'stack') {
                const back = run.toReversed().map(index => place(index, base ? base[index] : 0)).join('L');
                areas.push(`M${line}L${back}Z`);
            }
        }
        const shapes = [];
        if (areas.length) shapes.push(svg('path', { class: `fill ${style}`, d: areas.join('') }));
        if (lines.length) shapes.push(svg('path', { class: `line ${kind} ${style}`, d: lines.join('') }));
        return shapes;
    }

    /** The point nearest to the cursor. */
    #shown() {
        if (cursor.at === null || !this.#points.length) return this.#points.at(-1);
        const nearest = this.#points.reduce((a, b) => (Math.abs(b.at - cursor.at) < Math.abs(a.at - cursor.at) ? b : a));
        return Math.abs(nearest.at - cursor.at) > 2 * this.#step ? { at: cursor.at } : nearest;
    }

    showCursor() {
        const point = this.#shown();
        const values = this.series.map(series => (point ? (series.of(point) ?? null) : null));
        values.forEach((value, index) => setText(this.values[index], this.format(value)));
        const away = point ? this.#now - point.at : 0;
        const moment = cursor.at === null || !point ? 'now' : `${ago(away)} · ${clock(point.at)}`;
        setText(this.moment, moment);
        const isShown = cursor.at !== null && point && this.#width > 0;
        setAttribute(this.mark, 'class', isShown ? 'cursor shown' : 'cursor');
        if (isShown) for (const name of ['x1', 'x2']) setAttribute(this.mark, name, this.#x(point.at));
        setAttribute(this.plot, 'aria-valuenow', -Math.round(away / 1000));
        if (document.activeElement !== this.plot || cursor.at !== null) {
            const said = this.series.map(({ label }, index) => `${label} ${values[index] === null ? 'unknown' : this.format(values[index])}`);
            setAttribute(this.plot, 'aria-valuetext', `${moment}: ${said.join(', ')}`);
        }
    }

    #point(event) {
        const share = (event.offsetX - MARGIN.left) / (this.#width - MARGIN.left - MARGIN.right);
        if (!this.#points.length) return;
        moveCursor(share < 0 || share > 1.02 ? null : this.#now - SPAN_MS * (1 - Math.min(share, 1)));
    }

    #key(event) {
        const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -60, PageDown: 60, ArrowDown: -10, ArrowUp: 10 };
        const from = cursor.at ?? this.#now;
        let to;
        if (event.key in moves) to = from + moves[event.key] * this.#step;
        else if (event.key === 'Home') to = this.#points[0]?.at ?? from;
        else if (event.key === 'End' || event.key === 'Escape') to = this.#now;
        else return;
        event.preventDefault();
        to = Math.max(to, this.#now - SPAN_MS);
        moveCursor(to >= this.#now ? null : to);
    }

    #toggleTable() {
        this.table.hidden = !this.table.hidden;
        setAttribute(this.toggle, 'aria-expanded', String(!this.table.hidden));
        if (this.table.hidden) this.table.replaceChildren();
        else this.#fillTable();
    }

    #fillTable() {
        const rows = [];
        for (let at = this.#now; at > this.#now - SPAN_MS; at -= ROW_MS) {
            const point = this.#points.findLast(point => point.at <= at && point.at > at - this.#step * 1.5);
            if (!point) continue;
            const cells = this.series.map(series => el('td', {}, this.format(series.of(point) ?? null)));
            rows.push(el('tr', {}, el('th', { scope: 'row' }, clock(point.at)), ...cells));
        }
        const heads = this.series.map(({ label }) => el('th', { scope: 'col' }, label));
        this.table.replaceChildren(
            el('table', {}, el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'time'), ...heads)), el('tbody', {}, ...rows))
        );
    }
}

/** The course of one figure in a few pixels; beside the figure it says nothing of its own. */
export function spark(host, values) {
    const width = 96;
    const height = 24;
    const most = values.reduce((most, value) => (value > most ? value : most), 0) || 1;
    let path = '';
    let open = false;
    values.forEach((value, index) => {
        if (value === null || value === undefined) return (open = false);
        const x = (width * index) / Math.max(1, values.length - 1);
        path += `${open ? 'L' : 'M'}${x.toFixed(1)},${(height - 2 - ((height - 4) * value) / most).toFixed(1)}`;
        open = true;
    });
    if (!host.firstChild) host.append(svg('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, svg('path')));
    setAttribute(host.firstChild.firstChild, 'd', path || null);
}

