// How the server is, in a word, with the reasons; and the tab's title.
import { byId, el, keep, setAttribute, setText } from '../dom.js';

const STATES = { healthy: 'good', warning: 'warning', critical: 'critical' };
let before = null;

export const firing = ({ alerts }) => (alerts ?? []).filter(({ state }) => state === 'firing');

export function build() {}

export function title(figures) {
    const count = firing(figures).length;
    const sign = { critical: '■ ', warning: '▲ ' }[figures.health.status] ?? (count ? '▲ ' : '');
    const what = count ? `${count} alert${count > 1 ? 's' : ''} · ` : '';
    const text = `${sign}${what}aqe-v3`;
    if (document.title !== text) document.title = text;
}

export function update(figures) {
    const { status, reasons } = figures.health;
    const place = byId('health');
    setAttribute(place, 'data-state', STATES[status] ?? 'unknown');
    setText(place, status);
    setText(byId('version'), figures.version);
    const wrong = [
        ...(figures.monitoring === false ? [{ key: 'off', state: 'warning', text: 'Calls are not measured: [monitoring] enabled is false.' }] : []),
        ...reasons.filter(reason => reason.status !== 'healthy').map(({ signal, status, text }) => ({ key: `h ${signal}`, state: status, text })),
        ...firing(figures).map(alert => ({ key: `a ${alert.name}`, state: alert.severity === 'critical' ? 'critical' : 'warning', text: `Alert ${alert.name} is firing`, link: '#alerts' }))
    ];
    keep(
        byId('reasons'),
        wrong,
        ({ key }) => key,
        ({ link }) => el('li', {}, el('span'), link ? el('a', { href: link }, 'show') : null),
        (node, { state, text }) => {
            setAttribute(node, 'data-state', state);
            setText(node.firstChild, text);
        }
    );
    // Said when it changes, not each second.
    const now = `${status}${wrong.length ? `: ${wrong.map(({ text }) => text).join('. ')}` : ''}`;
    if (before !== null && now.replace(/[\d.,]+/g, '') !== before.replace(/[\d.,]+/g, '')) setText(byId('announce'), now);
    before = now;
    title(figures);
}
