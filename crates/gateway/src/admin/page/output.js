// What a task has written: the beginning and the end of each attempt's output, as the server keeps them.
import { get } from './api.js';
import { byId, el, setText } from './dom.js';
import { bytes, ms, words } from './format.js';

/** The newest request counts: another task may have been chosen meanwhile. */
let asked = 0;

function kept(label, output) {
    if (!output?.bytes) return null;
    const gap = output.omitted ? `\n… ${bytes(output.omitted)} were not kept …\n` : '';
    const text = el('pre', { tabindex: '0', role: 'region', 'aria-label': label }, `${output.head}${gap}${output.tail}`);
    return [el('h4', {}, `${label}, ${bytes(output.bytes)}`), text];
}

function attempt({ attempt: number, outcome, error, result }) {
    const said = [`attempt ${number}`, error ?? words(outcome), result?.ms === undefined ? null : ms(result.ms)];
    const known = ['stdout', 'stderr'].flatMap(name => kept(`${name} of attempt ${number}`, result?.[name]) ?? []);
    // What a tool has answered is no output of a program.
    const other = result && result.stdout === undefined ? el('pre', { tabindex: '0', role: 'region', 'aria-label': `result of attempt ${number}` }, JSON.stringify(result, null, 2)) : null;
    return el('article', {}, el('h3', {}, said.filter(Boolean).join(' · ')), known, other, known.length || other ? null : el('p', { class: 'empty' }, 'It has written nothing.'));
}

/** Asks for a task and shows it. */
export async function showOutput({ task_id, key, state }) {
    const turn = ++asked;
    const place = byId('output-text');
    setText(byId('output-title'), `${key}: ${words(state)}`);
    place.replaceChildren(el('p', { class: 'empty' }, 'asking the server …'));
    byId('output').showModal();
    byId('output-close').focus();
    try {
        const task = await get(`/admin/fleets/tasks/${task_id}`);
        if (turn !== asked) return;
        const none = task.progress ? `No attempt is over yet: ${task.progress}` : 'No attempt is over yet: what it writes is shown then.';
        const attempts = [...task.attempts].reverse();
        place.replaceChildren(
            el('p', { class: 'note' }, `${task.profile} · ${task_id}`),
            el('pre', { tabindex: '0', role: 'region', 'aria-label': 'arguments' }, JSON.stringify(task.payload?.args ?? task.payload)),
            ...(attempts.length ? attempts.map(attempt) : [el('p', { class: 'empty' }, none)])
        );
    } catch (error) {
        if (turn === asked) place.replaceChildren(el('p', { class: 'fault' }, error.message));
    }
}

byId('output-close').addEventListener('click', () => byId('output').close());
