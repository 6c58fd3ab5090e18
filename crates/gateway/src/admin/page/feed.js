// The stream of figures: read as it comes, taken up again when it breaks, left alone while nobody looks.
import { ask, get } from './api.js';

/** Without an event for so long the server is taken for gone; it sends one each 10 s at least. */
const SILENCE_MS = 25_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** A page in the background gives its stream back after this, and asks now and then. */
const HIDDEN_MS = 30_000;
const HIDDEN_STEP_MS = 15_000;
/** A stream that sends more than this without an end of an event is no such stream. */
const MAX_EVENT_CHARS = 64 * 1024 * 1024;

/** Splits a stream of server-sent events, piece by piece, into `[name, data]`. */
export function* events(buffer) {
    let end;
    while ((end = buffer.text.indexOf('\n\n')) >= 0) {
        let name = 'message';
        const data = [];
        for (const line of buffer.text.slice(0, end).split('\n')) {
            if (line.startsWith('event: ')) name = line.slice(7);
            else if (line.startsWith('data: ')) data.push(line.slice(6));
        }
        buffer.text = buffer.text.slice(end + 2);
        if (data.length) yield [name, data.join('\n')];
    }
}

const sleep = (ms, signal) =>
    new Promise(resolve => {
        const timer = setTimeout(resolve, ms);
        signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
    });

export class Feed {
    #abort = new AbortController();
    #hidden = null;

    /** `on` has `metrics(document)`, `fleets(document)`, `points({step_ms, points})`, `gone(error)`. */
    constructor(window, on) {
        this.window = window;
        this.on = on;
        document.addEventListener('visibilitychange', () => this.#seen());
    }

    /** Begins anew: with another window, or another token. */
    restart(window = this.window) {
        this.window = window;
        this.#abort.abort();
        this.#abort = new AbortController();
        this.#run(this.#abort.signal);
    }

    #seen() {
        clearTimeout(this.#hidden);
        if (!document.hidden) {
            if (this.isAside) this.restart();
            return;
        }
        this.#hidden = setTimeout(() => {
            this.#abort.abort();
            this.#abort = new AbortController();
            this.#aside(this.#abort.signal);
        }, HIDDEN_MS);
    }

    async #run(signal) {
        this.isAside = false;
        let pause = FIRST_PAUSE_MS;
        while (!signal.aborted) {
            try {
                await this.#read(signal, () => (pause = FIRST_PAUSE_MS));
                throw new Error('the server has ended the stream');
            } catch (error) {
                if (signal.aborted) return;
                this.on.gone(error);
                // Not all pages at one time.
                await sleep(pause * (0.75 + Math.random() / 2), signal);
                pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
            }
        }
    }

    async #read(signal, alive) {
        const quiet = new AbortController();
        const giveUp = () => quiet.abort(new Error('the server says nothing'));
        let timer = setTimeout(giveUp, SILENCE_MS);
        try {
            const both = AbortSignal.any([signal, quiet.signal]);
            const response = await ask(`/admin/events?window=${this.window}`, { signal: both });
            const reader = response.body.getReader();
            const decoder = new TextDecoder();
            const buffer = { text: '' };
            for (;;) {
                const { done, value } = await reader.read();
                if (done) return;
                buffer.text += decoder.decode(value, { stream: true });
                if (buffer.text.length > MAX_EVENT_CHARS) throw new Error('an event has no end');
                for (const [name, data] of events(buffer)) {
                    if (signal.aborted) return;
                    clearTimeout(timer);
                    timer = setTimeout(giveUp, SILENCE_MS);
                    alive();
                    this.on[name]?.(JSON.parse(data));
                }
            }
        } finally {
            clearTimeout(timer);
        }
    }

    /** In the background: enough for the tab's title. */
    async #aside(signal) {
        this.isAside = true;
        while (!signal.aborted) {
            try {
                this.on.metrics(await get(`/admin/metrics?window=${this.window}`, { signal }));
            } catch (error) {
                if (!signal.aborted) this.on.gone(error);
            }
            await sleep(HIDDEN_STEP_MS, signal);
        }
    }
}
