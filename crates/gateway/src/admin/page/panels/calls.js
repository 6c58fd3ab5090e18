// The calls under way, the oldest first, those with them that go on as tasks; each can be cancelled.
import { post } from '../api.js';
import { confirm, say } from '../dialog.js';
import { byId, el, setText } from '../dom.js';
import { span, ms } from '../format.js';
import { Table } from '../table.js';

let table;

async function cancel({ call, tool, method, task }) {
    const what = tool ?? method;
    const told = task ? 'Its client finds the task cancelled' : 'Its client gets an error';
    const go = await confirm({
        title: `Cancel ${what}?`,
        text: `${told}, and the upstream is told to stop. What the call has already done stays done.`,
        yes: 'Cancel the call',
        no: 'Let it run'
    });
    if (!go) return;
    try {
        await post('/admin/calls/cancel', { call });
        say(`${what} is cancelled.`);
    } catch (error) {
        say(`Not cancelled: ${error.message}`, true);
    }
}

export function build() {
    table = new Table(byId('calls'), {
        label: 'Live calls',
        key: row => row.call,
        most: 10,
        empty: 'No call is under way.',
        columns: [
            {
                name: 'what',
                label: 'call',
                cell: (place, row) => {
                    if (!place.firstChild) place.append(el('span'), el('span', { class: 'aside' }));
                    setText(place.firstChild, row.tool ?? row.method);
                    const task = row.task && ['task', row.task.message ?? row.task.status];
                    setText(place.lastChild, [...(task ?? []), row.upstream, row.principal, row.era].filter(Boolean).join(' · '));
                }
            },
            { name: 'running', label: 'for', value: row => row.running_ms, format: value => (value < 60_000 ? ms(value) : span(value)), number: true },
            {
                name: 'cancel',
                label: '',
                cell: (place, row) => {
                    place.className = 'action';
                    place.row = row;
                    if (place.firstChild) return;
                    const name = row.tool ?? row.method;
                    place.append(el('button', { type: 'button', onclick: () => cancel(place.row) }, 'Cancel', el('span', { class: 'sr' }, ` ${name}, call ${row.call}`)));
                }
            }
        ]
    });
    // A column of buttons has a name for those who do not see them.
    table.heads.at(-1).append(el('span', { class: 'sr' }, 'action'));
}

export function update({ calls }) {
    setText(byId('calls-note'), calls.length ? `${calls.length}${calls.length >= 200 ? ' or more' : ''} under way, the oldest first` : '');
    table.update(calls);
}
