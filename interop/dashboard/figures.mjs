// What each panel must show of a document of `/admin/metrics`: an independent reading of it.

const ratio = (part, whole) => (whole ? part / whole : null);

/** Figures of one panel: `[selector of the panel, { figure: value }]`. */
function panels(f) {
    const { all, pool, process, lookups, lists } = f;
    return [
        ['#tiles', {
            requests: all.per_s,
            latency: all.latency_ms?.p95,
            overhead: all.overhead_ms?.p95,
            'error-rate': all.error_rate,
            pool: pool.all.in_use,
            cached: ratio(all.from_cache, all.requests),
            memory: process.rss_bytes,
            tokens: all.estimated_tokens
        }],
        ['#pool', {
            in_use: pool.all.in_use, idle: pool.all.idle, max: pool.settings.max_connections, waiting: pool.all.waiting, hit_rate: pool.all.hit_rate,
            misses: pool.all.misses, wait_p95: pool.all.wait_ms?.p95, timeouts: pool.all.timeouts, refused: pool.all.refused
        }],
        ['#lookups', {
            exact: lookups.exact, resolved: lookups.resolved, unknown: lookups.unknown,
            listed: lists.tools.entries, list_bytes: lists.tools.bytes, list_tokens: lists.tools.estimated_tokens
        }],
        ['#process', { rss: process.rss_bytes, cpu: process.cpu_percent, threads: process.threads, files: process.open_files, startup: f.startup_ms, uptime: f.uptime_ms }]
    ];
}

const callFigures = row => ({ requests: row.requests, per_s: row.per_s, errors: row.error_rate, p50: row.latency_ms?.p50, p95: row.latency_ms?.p95, out: row.response_bytes });

/** Rows of one table: `[selector of the table's panel, { key of the row: { figure: value } }]`. */
function tables(f) {
    const rows = (list, key, of) => Object.fromEntries(list.map(row => [key(row), of(row)]));
    return [
        ['#categories', Object.assign({}, ...['categories', 'upstreams', 'methods'].map(part =>
            rows(f[part], row => `${{ categories: 'category', upstreams: 'upstream', methods: 'method' }[part]} ${row.name}`, callFigures)))],
        ['#tools', rows(f.tools, row => row.name, row => ({
            requests: row.requests, total: row.total_requests, per_s: row.per_s, errors: row.error_rate, p50: row.latency_ms?.p50, p95: row.latency_ms?.p95,
            p99: row.latency_ms?.p99, overhead: row.overhead_ms?.p95, cached: ratio(row.from_cache, row.requests), out: row.response_bytes,
            tokens: row.estimated_tokens, definition: row.definition_tokens
        }))],
        ['#cache', rows(f.cache?.levels ?? [], row => row.level, row => ({ hits: row.hits, hit_rate: row.hit_rate, entries: row.entries, bytes: row.bytes }))],
        ['#replicas', rows(f.replicas, row => `${row.upstream} ${row.replica}`, row => ({
            state: row.state, requests: row.requests, per_s: row.per_s, in_flight: row.in_flight, error_rate: row.error_rate, p50: row.latency_ms?.p50,
            p95: row.latency_ms?.p95, ejections: row.ejections, restarts: row.restarts
        }))],
        ['#calls', rows(f.calls.slice(0, 10), row => row.call, row => ({ running: row.running_ms }))],
        ['#alerts', rows(f.alerts ?? [], row => row.name, row => ({ state: row.state, value: row.value }))]
    ];
}

/** What the page shows at one moment, with the moment. Runs in the page. */
export function read() {
    const valuesOf = node => Object.fromEntries([...node.querySelectorAll('[data-figure]')].filter(figure => figure.hasAttribute('data-value')).map(figure => [figure.dataset.figure, figure.dataset.value]));
    const panels = Object.fromEntries(['tiles', 'pool', 'lookups', 'process'].map(id => [`#${id}`, valuesOf(document.getElementById(id))]));
    const tables = {};
    for (const id of ['categories', 'tools', 'cache', 'replicas', 'calls', 'alerts']) {
        tables[`#${id}`] = Object.fromEntries([...document.querySelectorAll(`#${id} [data-row]`)].map(row => [row.dataset.row, valuesOf(row)]));
    }
    const kinds = [...document.querySelectorAll('#errors table tbody tr')].map(row => [row.querySelector('th').textContent, valuesOf(row)]);
    return { at: document.documentElement.dataset.at, panels, tables, errors: Object.fromEntries(kinds), health: document.getElementById('health').textContent };
}

/** All differences between what is shown and what the document says, and how many figures were compared. */
export function compare(seen, figures) {
    const wrong = [];
    let compared = 0;
    const same = (where, shown, wanted) => {
        compared += 1;
        const text = wanted === null || wanted === undefined ? '' : String(wanted);
        if (shown !== text) wrong.push(`${where}: ${shown} in place of ${text}`);
    };
    for (const [panel, wanted] of panels(figures)) {
        for (const [name, value] of Object.entries(wanted)) same(`${panel} ${name}`, seen.panels[panel][name], value);
    }
    for (const [table, wanted] of tables(figures)) {
        const rows = seen.tables[table];
        for (const key of Object.keys(rows)) if (!(key in wanted)) wrong.push(`${table}: a row ${key} too many`);
        for (const [key, row] of Object.entries(wanted)) {
            // Long tables show their first rows only.
            if (!(key in rows)) {
                if (Object.keys(rows).length < Math.min(Object.keys(wanted).length, 12)) wrong.push(`${table}: no row ${key}`);
                continue;
            }
            for (const [name, value] of Object.entries(row)) same(`${table} ${key} ${name}`, rows[key][name], value);
        }
    }
    for (const [kind, count] of Object.entries(figures.all.errors_by_kind)) same(`#errors all ${kind}`, seen.errors['all requests']?.[kind], count);
    for (const row of [...figures.categories, ...figures.methods].filter(({ errors }) => errors)) {
        for (const [kind, count] of Object.entries(row.errors_by_kind)) same(`#errors ${row.name} ${kind}`, seen.errors[row.name]?.[kind], count);
    }
    if (seen.health !== figures.health.status) wrong.push(`health: ${seen.health} in place of ${figures.health.status}`);
    return { wrong, compared };
}

/** The points of a Prometheus text: `[name, labels, value]`. */
function scraped(text) {
    const points = [];
    for (const line of text.split('\n')) {
        const found = line.match(/^(\w+)(?:\{(.*)\})? (\S+)/);
        if (!found || line.startsWith('#')) continue;
        const labels = Object.fromEntries([...(found[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value]));
        points.push([found[1], labels, Number(found[3])]);
    }
    return points;
}

/** The same of what the page shows since the start, while nothing happens, and `/metrics`. */
export function compareScraped(seen, text) {
    const points = scraped(text);
    const sum = (name, wanted) => points
        .filter(([of, labels]) => of === name && Object.entries(wanted).every(([label, value]) => labels[label] === value))
        .reduce((sum, [, , value]) => sum + value, 0);
    const wrong = [];
    let compared = 0;
    const same = (where, shown, value) => {
        compared += 1;
        if (Number(shown) !== value) wrong.push(`${where}: ${shown} on the page, ${value} in /metrics`);
    };
    for (const [tool, row] of Object.entries(seen.tables['#tools'])) {
        same(`${tool} calls`, row.requests, sum('aqe_tool_requests_total', { tool }));
        same(`${tool} bytes`, row.out, sum('aqe_tool_response_bytes_total', { tool }));
    }
    for (const [level, row] of Object.entries(seen.tables['#cache'])) same(`cache ${level}`, row.hits, sum('aqe_cache_hits_total', { level }));
    for (const result of ['exact', 'resolved', 'unknown']) same(`look-ups ${result}`, seen.panels['#lookups'][result], sum('aqe_tool_lookups_total', { result }));
    same('tools/list', seen.panels['#lookups'].list_bytes, sum('aqe_tools_list_bytes', {}));
    same('pool', seen.panels['#pool'].max, sum('aqe_pool_max_connections', {}));
    for (const [kind, count] of Object.entries(seen.errors['all requests'] ?? {})) {
        if (kind !== 'all') same(`errors ${kind}`, count, sum('aqe_request_errors_total', { kind }));
    }
    return { wrong, compared };
}
