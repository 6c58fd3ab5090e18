// The last five minutes, second by second.
import { get } from './api.js';

const MOST = 300;

export class Points {
    all = [];
    step = 1000;

    /** Adds points that may be known already. Says whether some are missing between the known and the new ones. */
    add({ step_ms, points }) {
        this.step = step_ms;
        if (!points.length) return false;
        const last = this.all.at(-1)?.at ?? -Infinity;
        const missing = points[0].at > last + 1.5 * step_ms;
        // The newest known one may have been counted further.
        const from = points[0].at;
        this.all = [...this.all.filter(point => point.at < from), ...points].slice(-MOST);
        return missing;
    }

    async load() {
        this.add(await get('/admin/metrics/history'));
    }
}
