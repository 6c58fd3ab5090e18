// Questions that need an answer before anything happens.
import { byId, setText } from './dom.js';
import { setToken } from './api.js';

let answered = () => {};

/** Asks whether to go on; resolves to true or false. A question that takes the place of another answers that with no. */
export function confirm({ title, text, yes, no }) {
    answered(false);
    const dialog = byId('confirm');
    setText(byId('confirm-title'), title);
    setText(byId('confirm-text'), text);
    setText(byId('confirm-yes'), yes);
    setText(byId('confirm-no'), no);
    dialog.returnValue = 'no';
    dialog.showModal();
    byId('confirm-no').focus();
    return new Promise(resolve => (answered = resolve));
}

let asking = null;

/** Asks for the token; resolves when there is one. */
export function askToken(reason) {
    setText(byId('token-text'), reason);
    if (asking) return asking;
    const dialog = byId('token');
    const field = byId('token-value');
    field.value = '';
    dialog.showModal();
    field.focus();
    asking = new Promise(resolve => {
        const take = () => {
            if (!field.value.trim()) return field.focus();
            setToken(field.value.trim());
            field.value = '';
            asking = null;
            dialog.close();
            resolve();
        };
        byId('token-use').onclick = take;
        field.onkeydown = event => event.key === 'Enter' && (event.preventDefault(), take());
        // Without one there is nothing to show.
        dialog.oncancel = event => event.preventDefault();
    });
    return asking;
}

// The event comes some time after the closing: by then the next question may stand there.
byId('confirm').addEventListener('close', ({ target }) => target.open || answered(target.returnValue === 'yes'));
for (const answer of ['yes', 'no']) byId(`confirm-${answer}`).addEventListener('click', () => byId('confirm').close(answer));

/** A short message that goes by itself. */
export function say(text, isBad = false) {
    const place = byId('said');
    setText(place, text);
    place.dataset.bad = String(isBad);
    place.hidden = false;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => (place.hidden = true), 6000);
}
