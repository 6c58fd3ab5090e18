// What of one file runs, as V8 counts it: ranges of characters, per function and block.

import { Session } from 'node:inspector';

export class Coverage {
  /** `line` leads from a line of what runs to one of the file, or to 0. */
  constructor(url, source, line = (one) => one) {
    this.url = url;
    this.source = source;
    this.session = new Session();
    this.session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    this.starts = [0];
    for (let at = source.indexOf('\n'); at >= 0; at = source.indexOf('\n', at + 1)) this.starts.push(at + 1);
    this.code = codeLines(source).map(([at, start, end]) => [line(at), start, end]).filter(([at]) => at > 0);
  }

  #post(method, params) {
    let result;
    this.session.post(method, params, (error, value) => {
      if (error) throw new Error(error.message);
      result = value;
    });
    return result;
  }

  /** Ranges that ran since the last call: [[start, end]], sorted, without overlap; null if none did. */
  take() {
    const scripts = this.#post('Profiler.takePreciseCoverage').result;
    const script = scripts.find((one) => one.url === this.url);
    if (!script) return null;
    // The innermost range decides. Functions come outermost first, and so do ranges within one.
    const marks = [];
    for (const held of script.functions) {
      for (const range of held.ranges) marks.push(range);
    }
    marks.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
    const places = [...new Set(marks.flatMap((one) => [one.startOffset, one.endOffset]))].sort((a, b) => a - b);
    const found = [];
    const open = [];
    let next = 0;
    for (let number = 0; number + 1 < places.length; number++) {
      const at = places[number];
      while (open.length && open[open.length - 1].endOffset <= at) open.pop();
      while (next < marks.length && marks[next].startOffset === at) open.push(marks[next++]);
      while (open.length && open[open.length - 1].endOffset <= at) open.pop();
      const top = open[open.length - 1];
      if (top && top.count > 0) {
        const last = found[found.length - 1];
        if (last && last[1] === at) last[1] = places[number + 1];
        else found.push([at, places[number + 1]]);
      }
    }
    return { ranges: found, cuts: places };
  }

  /** Lines of code of which something ran. */
  lines(ranges) {
    const found = [];
    for (const [line, start, end] of this.code) {
      if (ranges.some(([from, to]) => from < end && to > start && this.#isAny(from, to, start, end))) found.push(line);
    }
    return [...new Set(found)];
  }

  #isAny(from, to, start, end) {
    return /[^\s{}()[\];,]/.test(this.source.slice(Math.max(from, start), Math.min(to, end)));
  }
}

/** Lines with code on them: [line, start, end] of what is on it, comments and brackets alone left out. */
function codeLines(source) {
  const plain = source
    .replace(/\/\*[\s\S]*?\*\//g, (text) => text.replace(/[^\n]/g, ' '))
    .replace(/^[^\S\n]*\/\/.*$/gm, (text) => ' '.repeat(text.length));
  const found = [];
  let at = 0;
  plain.split('\n').forEach((text, number) => {
    if (/[^\s{}()[\];,]/.test(text)) {
      const start = at + text.search(/\S/);
      found.push([number + 1, start, at + text.trimEnd().length]);
    }
    at += text.length + 1;
  });
  return found;
}
