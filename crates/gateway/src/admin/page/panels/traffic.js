// Requests and latency over time.
import { Chart } from '../chart.js';
import { byId } from '../dom.js';
import { ms, rate } from '../format.js';

const WINDOWS = { '10s': 10_000, '1m': 60_000, '5m': 300_000, start: Infinity };
let charts = [];

export const windowMs = figures => WINDOWS[figures.window.name] ?? figures.window.covers_ms;

export function build() {
    charts = [
        new Chart(byId('requests-chart'), {
            title: 'Requests',
            format: rate,
            series: [
                { name: 'requests', label: 'requests', of: point => point.requests, kind: 'area' },
                { name: 'errors', label: 'errors', of: point => point.errors, kind: 'line' }
            ]
        }),
        new Chart(byId('latency-chart'), {
            title: 'Latency',
            format: ms,
            least: 0.4,
            note: 'from the request read whole to its answer',
            series: [
                { name: 'p50', label: 'p50', of: point => point.p50_ms, kind: 'area' },
                { name: 'p95', label: 'p95', of: point => point.p95_ms, kind: 'line' },
                { name: 'p99', label: 'p99', of: point => point.p99_ms, kind: 'line' }
            ]
        })
    ];
}

export function update(figures, points) {
    for (const chart of charts) chart.update(points.all, points.step, windowMs(figures));
}
