// The server's own process.
import { Chart } from '../chart.js';
import { byId, el, facts } from '../dom.js';
import { bytes, count, ms, share, span } from '../format.js';
import { windowMs } from './traffic.js';

let set, chart;

export function build() {
    const list = el('dl', { class: 'facts' });
    const over = el('div', { id: 'memory-chart', class: 'inner' });
    byId('process').append(list, over);
    set = facts(list, [
        ['rss', 'memory', bytes, 'Resident set of the server without its children'],
        ['cpu', 'processor', share, '100 % is one processor'],
        ['threads', 'threads', count],
        ['files', 'open files', count],
        ['startup', 'start took', ms],
        ['uptime', 'up for', span]
    ]);
    chart = new Chart(over, {
        title: 'Memory',
        format: bytes,
        least: 1e6,
        series: [{ name: 'rss', label: 'resident', of: point => point.rss_bytes, kind: 'area' }]
    });
}

export function update(figures, points) {
    const { process } = figures;
    set('rss', process.rss_bytes);
    set('cpu', process.cpu_percent);
    set('threads', process.threads);
    set('files', process.open_files);
    set('startup', figures.startup_ms);
    set('uptime', figures.uptime_ms);
    chart.update(points.all, points.step, windowMs(figures));
}
