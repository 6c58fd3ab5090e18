// What the figures are made from.
import { byId, setText } from '../dom.js';
import { percent, span, text } from '../format.js';

export function build() {}

export function update(figures) {
    const { window, histogram_error, token_estimator, pid, version, } = figures;
    const parts = [
        `Figures of the last ${span(window.covers_ms)}; the shaded part of the charts is that window.`,
        `Percentiles are within ${percent(histogram_error)} of the true value.`,
        `Tokens are estimated: ${text(token_estimator)}.`,
        `aqe-v3 ${version}, pid ${pid}.`
    ];
    setText(byId('foot'), parts.filter(Boolean).join(' '));
}
