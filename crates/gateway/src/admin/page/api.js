// Asking the server. A token, where one is needed, is kept for as long as the tab is, and sent in a header only.

const TOKEN_KEY = 'aqe-token';
let token = read();

function read() {
    try { return sessionStorage.getItem(TOKEN_KEY) ?? ''; } catch { return ''; }
}

export function setToken(value) {
    token = value;
    try { sessionStorage.setItem(TOKEN_KEY, value); } catch { /* Kept in this page alone. */ }
}

/** The server's answer was no. */
export class Refused extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}

export async function ask(path, options = {}) {
    const headers = { ...options.headers };
    if (token) headers.Authorization = `Bearer ${token}`;
    const response = await fetch(path, { ...options, headers, cache: 'no-store', credentials: 'omit', redirect: 'error' });
    if (response.ok) return response;
    const said = await response.text();
    let message = said.trim();
    try { message = JSON.parse(said).error ?? message; } catch { /* It was a plain text. */ }
    throw new Refused(response.status, message || `status ${response.status}`);
}

export const get = async (path, options) => (await ask(path, options)).json();

export const post = async (path, body) =>
    (await ask(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })).json();
