// Each replica with its children and what they said last.
import { byId, el, facts, keep, setAttribute, setText } from '../dom.js';
import { bytes, count, ms, percent, rate, share, span, words } from '../format.js';

const STATES = { closed: 'good', 'slow-start': 'warning', 'half-open': 'warning', open: 'critical' };
/** The balancer's states are those of a circuit breaker, which not everybody has in mind. */
const MEANINGS = { closed: 'takes calls', 'slow-start': 'takes some calls again', 'half-open': 'is tried', open: 'is left out' };
let list, none;

export function build() {
    list = el('div');
    none = el('p', { class: 'empty' }, 'No upstream is configured; the built-in tools run in this process.');
    byId('replicas').append(list, none);
}

function make({ upstream, replica }) {
    const name = el('h3', {}, upstream === replica ? upstream : `${upstream} / ${replica}`);
    const state = el('span', { class: 'badge', 'data-figure': 'state' });
    const fault = el('p', { class: 'fault', hidden: true });
    const figures = el('dl', { class: 'facts' });
    const children = el('ul', { class: 'children', 'aria-label': `Processes of ${upstream} / ${replica}` });
    const lines = el('pre', { tabindex: '0', role: 'region', 'aria-label': `Last lines of ${upstream} / ${replica}` });
    const said = el('details', {}, el('summary', {}, 'Last lines'), lines);
    const node = el('article', { class: 'replica' }, el('div', { class: 'head' }, name, state), fault, figures, children, said);
    node.parts = { state, fault, children, lines, said };
    node.set = facts(figures, [
        ['requests', 'calls', count],
        ['per_s', 'rate', rate],
        ['in_flight', 'in flight', count],
        ['error_rate', 'errors', percent],
        ['p50', 'p50', ms],
        ['p95', 'p95', ms],
        ['retries', 'retries', count],
        ['ejections', 'left out', count, 'How often the balancer took it out'],
        ['restarts', 'restarts', count]
    ]);
    return node;
}

function show(node, replica) {
    const { state, fault, children, lines, said } = node.parts;
    setAttribute(node, 'data-row', `${replica.upstream} ${replica.replica}`);
    setAttribute(state, 'data-state', STATES[replica.state] ?? 'unknown');
    setText(state, words(replica.state));
    setAttribute(state, 'title', MEANINGS[replica.state]);
    fault.hidden = !replica.error;
    setText(fault, replica.error ?? '');
    for (const name of ['requests', 'per_s', 'in_flight', 'error_rate', 'retries', 'ejections', 'restarts']) node.set(name, replica[name]);
    node.set('p50', replica.latency_ms?.p50);
    node.set('p95', replica.latency_ms?.p95);
    const processes = replica.children ?? [];
    children.hidden = processes.length === 0;
    keep(
        children,
        processes,
        ({ pid }) => String(pid),
        ({ pid }) => el('li', { 'data-pid': pid }),
        (item, { pid, cpu_percent, rss_bytes, uptime_ms }) => setText(item, `pid ${pid} · CPU ${share(cpu_percent)} · ${bytes(rss_bytes)} · up ${span(uptime_ms)}`)
    );
    const last = replica.last_lines ?? [];
    said.hidden = last.length === 0;
    if (said.open || !lines.textContent) setText(lines, last.join('\n'));
}

export function update({ replicas }) {
    const out = replicas.filter(({ state }) => state !== 'closed').length;
    const children = replicas.reduce((sum, replica) => sum + (replica.children?.length ?? 0), 0);
    setText(byId('replicas-note'), replicas.length ? `${replicas.length} replicas, ${children} processes${out ? `, ${out} not taking all calls` : ''}` : '');
    none.hidden = replicas.length > 0;
    keep(list, replicas, ({ upstream, replica }) => `${upstream} ${replica}`, make, show);
}
