// Each replica with its children and what they said last.
import { byId, el, facts, keep, setAttribute, setText } from '../dom.js';
import { bytes, count, ms, percent, rate, share, span, words } from '../format.js';

/** The balancer's states are those of a circuit breaker, in which "closed" is good: so they are said in other words. */
const STATES = {
    closed: ['good', 'in service', 'The balancer sends it calls (circuit closed).'],
    'slow-start': ['warning', 'coming back', 'It takes some calls again (slow start).'],
    'half-open': ['warning', 'on trial', 'A call now and then shows whether it is well again (circuit half-open).'],
    open: ['critical', 'taken out', 'It gets no calls (circuit open).']
};
let list, none;

export function build() {
    list = el('div');
    none = el('p', { class: 'empty' }, 'No upstream is configured; the built-in tools run in this process.');
    byId('replicas').append(list, none);
}

function make({ upstream, replica }) {
    const name = el('h3', {}, upstream === replica ? upstream : `${upstream} / ${replica}`);
    const state = el('span', { class: 'badge', 'data-figure': 'state' });
    const why = el('span', { class: 'note' });
    const fault = el('p', { class: 'fault', hidden: true });
    const figures = el('dl', { class: 'facts' });
    const children = el('ul', { class: 'children', 'aria-label': `Processes of ${upstream} / ${replica}` });
    const lines = el('pre', { tabindex: '0', role: 'region', 'aria-label': `Last lines of ${upstream} / ${replica}` });
    const said = el('details', {}, el('summary', {}, 'Last lines'), lines);
    const node = el('article', { class: 'replica' }, el('div', { class: 'head' }, name, state, why), fault, figures, children, said);
    node.parts = { state, why, fault, children, lines, said };
    node.set = facts(figures, [
        ['requests', 'calls', count, 'In this window, each attempt'],
        ['per_s', 'rate', rate],
        ['in_flight', 'in flight', count],
        ['error_rate', 'errors', percent],
        ['p50', 'p50', ms],
        ['p95', 'p95', ms],
        ['ejections', 'taken out', count, 'How often the balancer took it out, since start'],
        ['restarts', 'restarts', count, 'Connections or processes in the place of one that had ended unasked, since start']
    ]);
    return node;
}

function show(node, replica) {
    const { state, why, fault, children, lines, said } = node.parts;
    setAttribute(node, 'data-row', `${replica.upstream} ${replica.replica}`);
    const [colour, word, meaning] = STATES[replica.state] ?? ['unknown', words(replica.state), null];
    setAttribute(state, 'data-state', colour);
    setAttribute(state, 'data-value', replica.state);
    setAttribute(state, 'title', meaning);
    setText(why, replica.reason ?? '');
    setText(state, word);
    fault.hidden = !replica.error;
    setText(fault, replica.error ?? '');
    for (const name of ['requests', 'per_s', 'in_flight', 'error_rate', 'ejections', 'restarts']) node.set(name, replica[name]);
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

export function update({ replicas, balance }) {
    const out = replicas.filter(({ state }) => state !== 'closed').length;
    const retries = (balance?.upstreams ?? []).reduce((sum, upstream) => sum + (upstream.retries ?? 0), 0);
    const children = replicas.reduce((sum, replica) => sum + (replica.children?.length ?? 0), 0);
    setText(byId('replicas-note'), replicas.length ? `${replicas.length} replicas, ${children} processes, ${count(retries)} calls sent again${out ? `, ${out} not taking all calls` : ''}` : '');
    none.hidden = replicas.length > 0;
    keep(list, replicas, ({ upstream, replica }) => `${upstream} ${replica}`, make, show);
}
