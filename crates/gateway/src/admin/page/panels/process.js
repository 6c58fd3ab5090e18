// The server's own process, the lists that it gives, and how names are found.
import { Chart } from '../chart.js';
import { byId, el, facts } from '../dom.js';
import { bytes, count, ms, rate, share, span, tokens } from '../format.js';
import { windowMs } from './traffic.js';

let set, charts;

export function build() {
    const list = el('dl', { class: 'facts' });
    const memory = el('div', { id: 'memory-chart', class: 'inner' });
    const lookups = el('div', { id: 'lookups-chart', class: 'inner' });
    byId('process').append(list, memory, lookups);
    set = facts(list, [
        ['rss', 'memory', bytes, 'Resident set of the server without its children'],
        ['cpu', 'processor', share, '100 % is one processor'],
        ['threads', 'threads', count],
        ['files', 'open files', count],
        ['startup', 'start took', ms],
        ['uptime', 'up for', span],
        ['exact', 'looked up', count, 'Names of this window that were found as they were written'],
        ['resolved', 'misspelt, found', count],
        ['unknown', 'not found', count],
        ['listed', 'tools listed', count],
        ['list_bytes', 'tools/list', bytes],
        ['list_tokens', 'its tokens', tokens]
    ]);
    charts = [
        new Chart(memory, { title: 'Memory', format: bytes, least: 1e6, series: [{ name: 'rss', label: 'resident', of: point => point.rss_bytes, kind: 'area' }] }),
        new Chart(lookups, { title: 'Look-ups', format: rate, series: [{ name: 'lookups', label: 'tool look-ups', of: point => point.lookups, kind: 'area' }] })
    ];
}

export function update(figures, points) {
    const { process, lookups, lists } = figures;
    set('rss', process.rss_bytes);
    set('cpu', process.cpu_percent);
    set('threads', process.threads);
    set('files', process.open_files);
    set('startup', figures.startup_ms);
    set('uptime', figures.uptime_ms);
    for (const name of ['exact', 'resolved', 'unknown']) set(name, lookups?.[name]);
    set('listed', lists?.tools?.entries);
    set('list_bytes', lists?.tools?.bytes);
    set('list_tokens', lists?.tools?.estimated_tokens);
    for (const chart of charts) chart.update(points.all, points.step, windowMs(figures));
}
