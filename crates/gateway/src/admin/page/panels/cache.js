// The result cache, level by level.
import { Chart } from '../chart.js';
import { byId, el, setText } from '../dom.js';
import { bytes, count, percent, rate } from '../format.js';
import { Table } from '../table.js';
import { windowMs } from './traffic.js';

/** What the levels are called elsewhere on this page. */
const LEVELS = { l1: 'hot', l2: 'memory', l3: 'disk' };
let table, chart, off;

export function build() {
    const host = byId('cache');
    const levels = el('div');
    const over = el('div', { id: 'cache-chart', class: 'inner' });
    off = el('p', { class: 'empty' }, 'There is no result cache: it is switched off.');
    host.append(off, levels, over);
    table = new Table(levels, {
        label: 'Levels of the cache',
        key: row => row.level,
        empty: '',
        columns: [
            { name: 'level', label: 'level', cell: (place, row) => setText(place, LEVELS[row.level] ?? row.level) },
            { name: 'hits', label: 'hits', value: row => row.hits, format: count, number: true },
            { name: 'hit_rate', label: 'hit rate', value: row => row.hit_rate, format: percent, number: true },
            { name: 'entries', label: 'entries', value: row => row.entries, format: count, number: true },
            { name: 'bytes', label: 'size', value: row => row.bytes, format: bytes, number: true }
        ]
    });
    chart = new Chart(over, {
        title: 'Cache',
        format: rate,
        series: [
            { name: 'hot', label: 'hot', of: point => point.cache_hits?.hot, kind: 'stack' },
            { name: 'memory', label: 'memory', of: point => point.cache_hits?.memory, kind: 'stack' },
            { name: 'disk', label: 'disk', of: point => point.cache_hits?.disk, kind: 'stack' },
            { name: 'misses', label: 'misses', of: point => point.cache_misses, kind: 'line' }
        ]
    });
}

export function update(figures, points) {
    const { cache } = figures;
    off.hidden = Boolean(cache);
    byId('cache-chart').hidden = !cache;
    table.table.parentElement.hidden = !cache;
    table.update(cache?.levels ?? []);
    chart.update(points.all, points.step, windowMs(figures));
}
