// How figures are written. What is not known is a dash, never a zero.

export const UNKNOWN = '–';

const known = format => value => (value === null || value === undefined || Number.isNaN(value) ? UNKNOWN : format(value));

/** Three significant digits. */
function digits(value) {
    const size = Math.abs(value);
    if (size === 0) return '0';
    if (size >= 100) return value.toFixed(0);
    if (size >= 10) return value.toFixed(1).replace(/\.0$/, '');
    return value.toFixed(2).replace(/\.?0+$/, '') || '0';
}

function scaled(value, step, units) {
    let unit = 0;
    // Rounded first, so that 999.9 is not written as 1000.
    while (unit < units.length - 1 && Math.abs(Number(value.toPrecision(3))) >= step) {
        value /= step;
        unit += 1;
    }
    return units[unit] ? `${digits(value)} ${units[unit]}` : digits(value);
}

export const count = known(value => (Math.abs(value) < 10_000 ? digits(Math.round(value)) : scaled(value, 1000, ['', 'k', 'M', 'G', 'T'])));
/** A count of things: "1 task", "2 tasks". */
export const things = (value, one) => `${count(value)} ${one}${value === 1 ? '' : 's'}`;
export const whole = known(value => Math.round(value).toLocaleString('en').replaceAll(',', ' '));
export const rate = known(value => `${scaled(value, 1000, ['', 'k', 'M'])}/s`);
export const bytes = known(value => scaled(value, 1000, ['B', 'kB', 'MB', 'GB', 'TB']));
/** All but all is not all. */
export const percent = known(value => (value < 1 && value >= 0.9995 ? '> 99.9 %' : `${digits(value * 100)} %`));
/** A share that is already in percent, as processor time is. */
export const share = known(value => `${digits(value)} %`);
export const ms = known(value => (value >= 999.5 ? seconds(value / 1000) : value > 0 && value < 0.01 ? `${digits(value * 1000)} µs` : `${digits(value)} ms`));
export const tokens = known(value => `≈ ${count(value)}`);

function seconds(value) {
    if (value < 59.95) return `${digits(value)} s`;
    const total = Math.round(value);
    if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
    if (total < 86_400) return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min`;
    return `${Math.floor(total / 86_400)} d ${Math.floor((total % 86_400) / 3600)} h`;
}

/** A longer time, whole seconds. */
export const span = known(value => seconds(Math.max(0, Math.round(value / 1000))));
export const clock = known(value => new Date(value).toLocaleTimeString('en-GB'));
export const text = known(String);
/** `tool_error` as people write it. */
export const words = known(value => String(value).replaceAll('_', ' ').replaceAll('-', ' '));
