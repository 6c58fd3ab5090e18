// What a case does, as assertions; and tests run in a process that knows nothing of the search.

import assert from 'node:assert/strict';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';

import { targetsOf } from './discover.mjs';
import { guard, install } from './guard.mjs';

const MOST_CHARS = 600;
const TEST_MS = 2000;
const CALL = new vm.Script('aqeBody()');

class NoLiteral extends Error {}

/** Source that evaluates to an equal value. */
export function literal(value, depth = 0) {
  if (depth > 6) throw new NoLiteral();
  let text;
  if (value === null || value === undefined || typeof value === 'boolean') text = String(value);
  else if (typeof value === 'number') text = Object.is(value, -0) ? '-0' : String(value);
  else if (typeof value === 'bigint') text = `${value}n`;
  else if (typeof value === 'string') text = quoted(value);
  else if (typeof value !== 'object') throw new NoLiteral();
  else {
    const proto = Object.getPrototypeOf(value);
    if (Array.isArray(value) && proto === Array.prototype) {
      if (Object.keys(value).length !== value.length) throw new NoLiteral();
      text = `[${value.map((one) => literal(one, depth + 1)).join(', ')}]`;
    } else if (proto === Object.prototype) {
      if (Object.getOwnPropertySymbols(value).length) throw new NoLiteral();
      const parts = Object.keys(value).map((key) => {
        if (key === '__proto__' || Object.getOwnPropertyDescriptor(value, key).get) throw new NoLiteral();
        return `${/^[A-Za-z_$][\w$]*$/.test(key) ? key : quoted(key)}: ${literal(value[key], depth + 1)}`;
      });
      text = parts.length ? `{ ${parts.join(', ')} }` : '{}';
    } else if (proto === Date.prototype) text = `new Date(${value.getTime()})`;
    else if (proto === Set.prototype) text = `new Set([${[...value].map((one) => literal(one, depth + 1)).join(', ')}])`;
    else if (proto === Map.prototype) text = `new Map([${[...value].map(([key, one]) => `[${literal(key, depth + 1)}, ${literal(one, depth + 1)}]`).join(', ')}])`;
    else throw new NoLiteral();
  }
  if (text.length > MOST_CHARS) throw new NoLiteral();
  return text;
}

const quoted = (text) => `'${JSON.stringify(text).slice(1, -1).replace(/\\"/g, '"').replace(/'/g, "\\'").replace(/[\u2028\u2029\ud800-\udfff]/g, (one) => `\\u${one.charCodeAt(0).toString(16)}`)}'`;

/** {kind, strong: [lines], weak: [lines] or null, key} of a case that ended; `call` as it is written. */
export function outcomeOf(result, call) {
  if (result.threw) {
    const error = result.error;
    const named = error instanceof Error && typeof error.name === 'string' && /^\w+$/.test(error.name);
    const what = named ? `, { name: ${quoted(error.name)} }` : '';
    const lines = result.awaited
      ? [`await assert.rejects(async () => ${call}${what});`]
      : [`assert.throws(() => ${call}${what});`];
    return { kind: 'exception', strong: lines, weak: null, key: `! ${named ? error.name : typeof error}`, awaited: result.awaited };
  }
  const value = result.value;
  const said = result.awaited ? `await ${call}` : result.walked ? `Array.from(${call})` : call;
  const type = value === null ? 'null' : typeof value;
  try {
    const text = literal(value);
    const form = value !== null && typeof value === 'object' ? 'deepEqual' : 'equal';
    return {
      kind: 'value', strong: [`assert.${form}(${said}, ${text});`], weak: [`assert.equal(typeof (${said}), ${quoted(typeof value)});`],
      key: `= ${text}`, awaited: result.awaited, size: text.length, empty: /^(''|null|undefined|\[\]|0|false|\{\})$/.test(text),
    };
  } catch (error) {
    if (!(error instanceof NoLiteral) && !(error instanceof RangeError) && !(error instanceof TypeError)) throw error;
  }
  const lines = [`const result = ${said};`, `assert.equal(typeof result, ${quoted(typeof value)});`];
  const weak = [...lines];
  let key = `: ${type}`;
  if (value !== null && typeof value === 'object') {
    const name = value.constructor?.name;
    if (name) lines.push(`assert.equal(result.constructor.name, ${quoted(name)});`);
    for (const one of Object.keys(value).filter((name) => /^[A-Za-z][\w$]*$/.test(name)).slice(0, 6)) {
      try {
        const held = literal(value[one]);
        if (held.length <= 120) lines.push(`assert.${value[one] !== null && typeof value[one] === 'object' ? 'deepEqual' : 'equal'}(result.${one}, ${held});`);
      } catch { /* it has no literal */ }
    }
    key += lines.join('|');
  }
  return { kind: 'type', strong: lines, weak: weak.length < lines.length ? weak : null, key, awaited: result.awaited };
}

export const names = (module, stem) => Object.fromEntries(targetsOf(module, stem).filter((one) => one.kind !== 'method' && one.kind !== 'property').map((one) => [one.name, one.value]));

export const stemOf = (file) => {
  const stem = path.basename(file).replace(/\.[^.]*$/, '');
  const base = stem === 'index' ? path.basename(path.dirname(path.resolve(file))) : stem;
  const camel = base.replace(/[^A-Za-z0-9]+(.)?/g, (_, one) => (one ?? '').toUpperCase());
  return /^[A-Za-z_$]/.test(camel) && camel !== 'project' ? camel : 'subject';
};

/** Another day and hour: what depends on today shows itself. */
function movedClock(days) {
  const shift = days * 86400000 + 5 * 3600000;
  const Real = Date;
  const now = Real.now.bind(Real);
  globalThis.Date = new Proxy(Real, {
    construct: (target, args, made) => Reflect.construct(target, args.length ? args : [now() + shift], made === globalThis.Date ? target : made),
    apply: (target) => new target(now() + shift).toString(),
    get: (target, name) => (name === 'now' ? () => now() + shift : Reflect.get(target, name)),
  });
}

/** Runs each block: its strong text, and where that fails its weak one. */
export async function run(request) {
  if (request.shift_days) movedClock(request.shift_days);
  install(request.allow_effects && request.scratch);
  const module = await import(pathToFileURL(path.join(request.scratch, request.file)));
  const held = names(module, stemOf(request.file));
  const results = new Array(request.blocks.length).fill(null);
  const places = [...request.blocks.keys()];
  for (const place of request.backwards ? places.reverse() : places) {
    const block = request.blocks[place];
    const strong = await one(block.strong, held);
    results[place] = { strong, weak: strong !== 'passed' && block.weak ? await one(block.weak, held) : null };
  }
  return { results };
}

/** How one text does with these names: passed, failed or broken. */
export async function one(text, held) {
  let body;
  const collect = (title, run) => { body = run; };
  try {
    new Function('assert', 'test', ...Object.keys(held), text)(assert, collect, ...Object.values(held));
  } catch {
    return 'broken';
  }
  guard.active = true;
  guard.seen = null;
  let timer;
  try {
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('too long')), TEST_MS); });
    // What never ends by itself is interrupted, wherever it is.
    globalThis.aqeBody = body;
    const done = CALL.runInThisContext({ timeout: TEST_MS });
    if (done && typeof done.then === 'function') await Promise.race([done, late]);
    return guard.seen ? 'failed' : 'passed';
  } catch {
    return 'failed';
  } finally {
    clearTimeout(timer);
    guard.active = false;
  }
}
