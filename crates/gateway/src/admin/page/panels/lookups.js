// How tools are found by name, and what their list weighs.
import { Chart } from '../chart.js';
import { byId, el, facts } from '../dom.js';
import { bytes, count, rate, tokens } from '../format.js';
import { windowMs } from './traffic.js';

let set, chart;

export function build() {
    const list = el('dl', { class: 'facts' });
    const over = el('div', { id: 'lookups-chart', class: 'inner' });
    byId('lookups').append(list, over);
    set = facts(list, [
        ['exact', 'found', count, 'Names that were found as they were written, in this window'],
        ['resolved', 'misspelt, found', count, 'Names that could only mean one tool, in this window'],
        ['unknown', 'not found', count, 'In this window'],
        ['listed', 'tools listed', count],
        ['list_bytes', 'tools/list', bytes],
        ['list_tokens', 'its tokens', tokens]
    ]);
    chart = new Chart(over, {
        title: 'Look-ups',
        format: rate,
        series: [{ name: 'lookups', label: 'tools by name', of: point => point.lookups, kind: 'area' }]
    });
}

export function update(figures, points) {
    const { lookups, lists } = figures;
    for (const name of ['exact', 'resolved', 'unknown']) set(name, lookups[name]);
    set('listed', lists.tools?.entries);
    set('list_bytes', lists.tools?.bytes);
    set('list_tokens', lists.tools?.estimated_tokens);
    chart.update(points.all, points.step, windowMs(figures));
}
