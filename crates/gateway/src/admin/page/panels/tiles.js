// What one wants to know first.
import { spark } from '../chart.js';
import { byId, el, setAttribute, setFigure, setText } from '../dom.js';
import { bytes, count, ms, percent, rate, share, span, tokens } from '../format.js';

const ratio = (part, whole) => (whole ? part / whole : null);

/** `[name, title, value, format, line below, course of a point]`. */
const TILES = [
    ['requests', 'Requests', f => f.all.per_s, rate, f => `${count(f.all.requests)} ended · ${count(f.all.in_flight)} in flight`, p => p.requests],
    ['latency', 'Latency p95', f => f.all.latency_ms?.p95, ms, f => `p50 ${ms(f.all.latency_ms?.p50)} · p99 ${ms(f.all.latency_ms?.p99)}`, p => p.p95_ms],
    ['overhead', 'Own share p95', f => f.all.overhead_ms?.p95, ms, f => `p50 ${ms(f.all.overhead_ms?.p50)}`],
    ['error-rate', 'Error rate', f => f.all.error_rate, percent, f => `${count(f.all.errors)} errors, ${count(f.all.cancelled)} cancelled`, p => p.errors],
    ['pool', 'Pool in use', f => f.pool.all.in_use, count, f => `of ${count(f.pool.settings.max_connections)} · ${count(f.pool.all.waiting)} waiting`, p => p.pool_in_use],
    ['cached', 'From cache', f => ratio(f.all.from_cache, f.all.requests), percent, f => `${count(f.all.from_cache)} answers`, p => p.cache_hits && p.cache_hits.hot + p.cache_hits.memory + p.cache_hits.disk],
    ['memory', 'Memory', f => f.process.rss_bytes, bytes, f => `CPU ${share(f.process.cpu_percent)}`, p => p.rss_bytes],
    ['tokens', 'Tokens of results', f => f.all.estimated_tokens, tokens, f => `tools/list ${tokens(f.lists?.tools?.estimated_tokens)}`]
];
/** The signals of the health that a tile is about. */
const SIGNALS = { error_rate: 'error-rate', pool_hit_rate: 'pool', latency: 'latency', response_time: 'latency', memory: 'memory' };
const nodes = new Map();

export function build() {
    for (const [name, title] of TILES) {
        const value = el('strong', { 'data-figure': name });
        const more = el('span', { class: 'more' });
        const course = el('span', { class: 'spark' });
        const tile = el('article', { class: 'tile' }, el('h2', {}, title), value, course, more);
        nodes.set(name, { tile, value, more, course });
        byId('tiles').append(tile);
    }
}

export function update(figures, points) {
    const states = new Map();
    for (const { signal, status } of figures.health.reasons) states.set(SIGNALS[signal], status);
    for (const [name, , value, format, more, course] of TILES) {
        const node = nodes.get(name);
        setFigure(node.value, value(figures), format);
        setText(node.more, more(figures));
        setAttribute(node.tile, 'data-state', states.get(name));
        if (course) spark(node.course, points.all.slice(-60).map(course));
    }
}
