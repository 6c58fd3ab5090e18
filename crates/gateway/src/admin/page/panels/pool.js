// The connection pool: what is in use, and whether anybody waits.
import { Chart } from '../chart.js';
import { byId, el, facts, setAttribute, svg } from '../dom.js';
import { count, ms, percent } from '../format.js';
import { windowMs } from './traffic.js';

let set, meter, chart;

export function build() {
    const host = byId('pool');
    meter = ['free', 's1', 's4'].map(style => svg('rect', { class: style, y: 0, height: 10, width: 0, x: 0 }));
    const list = el('dl', { class: 'facts' });
    const over = el('div', { id: 'pool-chart', class: 'inner' });
    host.append(svg('svg', { class: 'meter', viewBox: '0 0 1000 10', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, ...meter), list, over);
    set = facts(list, [
        ['in_use', 'in use', count, 'Connections with calls on them', 's1'],
        ['idle', 'idle', count, 'Open connections without a call', 's4'],
        ['max', 'most', count],
        ['waiting', 'waiting', count],
        ['hit_rate', 'hit rate', percent, 'Calls that were served by an open connection'],
        ['misses', 'misses', count],
        ['wait_p95', 'wait p95', ms, 'Of those who had to wait'],
        ['timeouts', 'timed out', count],
        ['refused', 'refused', count]
    ]);
    chart = new Chart(over, {
        title: 'Connections',
        format: count,
        apart: 1,
        series: [
            { name: 'in_use', label: 'in use', of: point => point.pool_in_use, kind: 'area' },
            { name: 'total', label: 'open', of: point => point.pool_total, kind: 'line' }
        ]
    });
}

export function update(figures, points) {
    const { all, settings } = figures.pool;
    for (const name of ['in_use', 'idle', 'waiting', 'hit_rate', 'misses', 'timeouts', 'refused']) set(name, all[name]);
    set('max', settings.max_connections);
    set('wait_p95', all.wait_ms?.p95);
    const most = Math.max(1, settings.max_connections, all.total);
    let x = 0;
    setAttribute(meter[0], 'width', 1000);
    [all.in_use, all.idle].forEach((value, index) => {
        const width = (1000 * value) / most;
        setAttribute(meter[index + 1], 'x', x);
        setAttribute(meter[index + 1], 'width', width);
        x += width;
    });
    chart.update(points.all, points.step, windowMs(figures));
}
