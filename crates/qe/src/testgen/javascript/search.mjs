// The search for inputs of exported functions: examples, one at a time, pairs, random, mutation of what reached something new.
// How far it goes is counted in cases, so that a seed gives the same everywhere; the clock only ends what is far too slow.

import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';

import { Coverage } from './coverage.mjs';
import { documented, examplesIn, split, targetsOf } from './discover.mjs';
import { guard, install } from './guard.mjs';
import { names, outcomeOf, stemOf } from './outcome.mjs';
import { compiled, typesOf } from './typescript.mjs';
import { join, literalsOf, poolOf } from './values.mjs';

const CASES_PER_MS = 2;
const CASE_MS = 100;
const MOST_ENDLESS = 3;
const PATIENCE = 200;
const MOST_BATCH = 32;
const MOST_OBJECTS = 6;
const MOST_CANDIDATES = 300;
const MOST_ITEMS = 20;
const MOST_OUTCOMES = 24;
const MOST_TRIES = 40;
// Names of functions that an error lists.
const MOST_NAMES = 30;

/** Numbers from a seed (mulberry32, a public-domain generator by Tommy Ettinger). */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function failed(text) {
  return Object.assign(new Error(text), { failed: text });
}

export async function run(request) {
  const began = Date.now();
  const file = path.join(request.scratch, request.file);
  const text = fs.readFileSync(file, 'utf8');
  const built = compiled(text, file);
  const documents = request.documents.map((name) => fs.readFileSync(path.join(request.scratch, name), 'utf8')).join('\n');
  const status = fs.openSync(request.status, 'w');
  const writeStatus = fs.writeSync.bind(fs);
  install(request.allow_effects && request.scratch);
  const url = pathToFileURL(file).href;
  const coverage = new Coverage(url, built.code, built.line);
  let module;
  const timer = setTimeout(() => process.reallyExit?.(124), 10000);
  try {
    module = await import(url);
  } catch (error) {
    throw failed(`${request.file} cannot be imported: ${String(error?.stack ?? error).split('\n').slice(0, 3).join(' ').slice(0, 300)}`);
  } finally {
    clearTimeout(timer);
  }
  const first = coverage.take();
  const stem = stemOf(request.file);
  const all = targetsOf(module, stem);
  const listed = [];
  const targets = all.filter((target) => {
    const wanted = request.functions;
    if (wanted.length && !wanted.some((one) => target.name === one || target.name.startsWith(`${one}.`))) return false;
    const reason = !request.allow_effects && target.effects ? `${target.effects}; allow_effects runs it` : null;
    listed.push({ target: target.name, status: reason ? 'refused' : 'searched', reason });
    return !reason;
  });
  for (const one of request.functions) {
    if (!listed.some((entry) => entry.target === one || entry.target.startsWith(`${one}.`))) {
      const found = all.map((target) => target.name).sort();
      const more = found.length > MOST_NAMES ? ` and ${found.length - MOST_NAMES} more` : '';
      const shown = found.slice(0, MOST_NAMES).join(', ') || 'nothing that is exported and can be called';
      throw failed(`there is no exported function or class ${one} in ${request.file}; it has ${shown}${more}`);
    }
  }
  const held = names(module, stem);
  Object.assign(globalThis, held);
  const state = {
    request, coverage, text: built.code, types: /\.[mc]?ts$/.test(file) ? typesOf(text) : new Map(), literals: literalsOf(text, documents), random: randomFrom(request.seed), held, began, late: false,
    left: request.budget_ms * CASES_PER_MS, executed: 0, endless: 0, kept: [], covered: new Spans(first?.ranges ?? []),
    cuts: new Set(first?.cuts ?? []), classes: new Map(), fatal: new Set(request.fatal), effects: new Map(),
    status: (target, expression) => writeStatus(status, `${target}\n${expression}`.slice(0, 480).padEnd(500), 0),
    examples: examplesIn(`${documents}\n${text}`, all.filter((one) => one.kind === 'function' || one.kind === 'class').map((one) => one.name)),
  };
  for (const [number, target] of targets.entries()) {
    await one(state, target, Math.ceil((2 * state.left) / (targets.length - number + 1)));
    if (state.late) break;
  }
  for (const [name, event] of state.effects) listed.push({ target: name, status: 'partly', reason: `calls that did ${event} were refused` });
  return answer(state, targets, listed, first?.ranges ?? []);
}

/** Ranges that were reached. */
export class Spans {
  constructor(ranges) {
    this.ranges = ranges.map(([from, to]) => [from, to]);
  }

  /** Whether any part of ranges is not here yet. */
  isNew(ranges) {
    return ranges.some(([from, to]) => !this.#isWithin(from, to));
  }

  /** Adds ranges; whether any part of them is new. */
  add(ranges) {
    let isNew = false;
    for (const [from, to] of ranges) {
      if (!this.ranges.some(([start, end]) => start <= from && to <= end)) {
        isNew ||= !this.#isWithin(from, to);
        this.ranges.push([from, to]);
      }
    }
    if (isNew) {
      this.ranges.sort((a, b) => a[0] - b[0]);
      const joined = [];
      for (const [from, to] of this.ranges) {
        const last = joined[joined.length - 1];
        if (last && from <= last[1]) last[1] = Math.max(last[1], to);
        else joined.push([from, to]);
      }
      this.ranges = joined;
    }
    return isNew;
  }

  #isWithin(from, to) {
    let at = from;
    for (const [start, end] of [...this.ranges].sort((a, b) => a[0] - b[0])) {
      if (start <= at && end > at) at = end;
    }
    return at >= to;
  }
}

function objectsOf(state, owner) {
  if (!state.classes.has(owner)) {
    const cls = state.held[owner];
    const target = targetsOf({ [owner]: cls }, owner).find((one) => one.kind === 'class');
    const pools = (target?.params ?? []).map((param, at) => poolOf(param, state.types.get(owner)?.[at] ?? null, state.literals, state.random));
    const found = (state.examples.get(owner) ?? []).map((parts) => `new ${owner}(${parts.join(', ')})`);
    for (let turn = 0; turn < 30; turn++) found.push(`new ${owner}(${pools.map((pool, at) => pool[(turn + at * (turn > 3)) % pool.length]).join(', ')})`);
    // Those that can be made at all.
    state.classes.set(owner, join(found).filter((source) => {
      try {
        guard.active = true;
        new vm.Script(source).runInThisContext({ timeout: CASE_MS });
        return true;
      } catch {
        return false;
      } finally {
        guard.active = false;
      }
    }).slice(0, MOST_OBJECTS));
  }
  return state.classes.get(owner);
}

function written(target, chosen, receiver) {
  const parts = [];
  let last = chosen.length;
  while (last && chosen[last - 1] === null) last--;
  for (const source of chosen.slice(0, last)) parts.push(...(Array.isArray(source) ? source : [source ?? 'undefined']));
  const args = parts.join(', ');
  if (target.kind === 'class') return `new ${target.name}(${args})`;
  if (target.kind === 'property') return `${receiver}.${target.method}`;
  if (target.kind === 'method') return `${receiver}.${target.method}(${args})`;
  return `${target.name}(${args})`;
}

async function one(state, target, share) {
  const types = documented(state.text, target.source);
  const typed = state.types.get(target.name) ?? (target.how === 'default' && target.kind === 'function' ? state.types.get(target.value.name) : null);
  const pools = target.params.map((param, at) => poolOf(param, typed?.[at] ?? types[param.name], state.literals, state.random));
  // What is called without naming its parameters may read `arguments`.
  if (!pools.length && /\barguments\b/.test(target.source)) pools.push(poolOf({ name: 'value', fallback: null }, null, state.literals, state.random));
  const receivers = target.kind === 'method' || target.kind === 'property' ? objectsOf(state, target.owner) : [null];
  if (!receivers.length) return;
  // What makes an object of a class is often what its methods take.
  const made = target.owner ? receivers.filter(Boolean).flatMap((source) => split(source.slice(source.indexOf('(') + 1, -1))) : [];
  pools.forEach((pool, at) => { pools[at] = join(made, receivers.filter(Boolean).slice(0, 2), pool); });
  const gained = [], seen = new Set(), outcomes = new Set();
  let tries = 0;
  const endless = state.endless;
  let idle = 0, batch = [], size = 2;
  const end = state.left - share;
  // Asking V8 costs more than most cases: several run between two questions, and only where those together reached
  // something new is each run again by itself.
  const settle = async () => {
    const held = batch;
    batch = [];
    const ran = state.coverage.take();
    if (!ran || !state.covered.isNew(ran.ranges)) {
      size = Math.min(size * 2, MOST_BATCH);
      idle += held.length;
      // They reach nothing new, but may notice a fault that others do not.
      for (const { expression } of state.request.plants ? held : []) {
        if (outcomes.size >= MOST_OUTCOMES || tries++ >= MOST_TRIES) break;
        const found = await attempt(state, target, expression, true);
        if (!found || outcomes.has(found.outcome.key)) continue;
        outcomes.add(found.outcome.key);
        state.kept.push({ target, expression, ...found });
      }
      return;
    }
    size = 2;
    idle = 0;
    for (const { inputs, expression } of held) {
      const found = await attempt(state, target, expression, true);
      if (!found) continue;
      for (const cut of found.cuts) state.cuts.add(cut);
      if (state.covered.add(found.ranges)) {
        gained.push(inputs);
        outcomes.add(found.outcome.key);
        state.kept.push({ target, expression, ...found });
      }
    }
  };
  for (const inputs of inputsOf(state, target, pools, receivers, gained)) {
    if (state.left <= end || idle >= PATIENCE || state.endless - endless >= MOST_ENDLESS) break;
    const expression = written(target, inputs.chosen, inputs.receiver);
    if (seen.has(expression) || state.fatal.has(expression)) {
      idle += 0.2;
      continue;
    }
    seen.add(expression);
    if (Date.now() - state.began > state.request.wall_ms) {
      state.late = true;
      break;
    }
    state.left--;
    await attempt(state, target, expression, false);
    batch.push({ inputs, expression });
    if (batch.length >= size) await settle();
  }
  if (batch.length && !state.late) await settle();
}

/** Runs one case; with `asks`, also what it reached and did. */
async function attempt(state, target, expression, asks) {
  let script;
  if (asks) state.coverage.take();
  try {
    script = new vm.Script(`(${expression})`, { filename: 'case' });
  } catch {
    return null;
  }
  state.status(target.name, expression);
  state.executed++;
  guard.seen = null;
  guard.active = true;
  const result = { threw: false, awaited: false, walked: false, value: undefined, error: undefined };
  let timer;
  try {
    result.value = script.runInThisContext({ timeout: CASE_MS });
    if (result.value && typeof result.value.then === 'function') {
      result.awaited = true;
      const late = new Promise((_, reject) => { timer = setTimeout(() => reject(failed('late')), CASE_MS); });
      result.value = await Promise.race([result.value, late]);
    } else if (result.value && typeof result.value.next === 'function' && typeof result.value[Symbol.iterator] === 'function') {
      result.walked = true;
      const found = [];
      for (const item of result.value) if (found.push(item) > MOST_ITEMS) break;
      if (found.length > MOST_ITEMS) return null;
      result.value = found;
    }
  } catch (error) {
    if (error?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT' || error?.failed === 'late') {
      state.endless++;
      return null;
    }
    if (error instanceof RangeError && /call stack|Invalid (string|array) length|allocation/i.test(error.message)) return null;
    result.threw = true;
    result.error = error;
  } finally {
    clearTimeout(timer);
    guard.active = false;
  }
  if (guard.seen) {
    state.effects.set(target.name, guard.seen);
    return null;
  }
  if (!asks) return null;
  const ran = state.coverage.take();
  if (!ran) return null;
  try {
    return { ranges: ran.ranges, cuts: ran.cuts, outcome: outcomeOf(result, expression) };
  } catch {
    return null;
  }
}

function* inputsOf(state, target, pools, receivers, gained) {
  const { random } = state;
  const pick = (list) => list[Math.floor(random() * list.length)];
  const base = pools.map((pool, at) => (target.params[at]?.fallback || /^(options|opts)$/.test(target.params[at]?.name ?? '') ? null : target.params[at]?.rest ? [pool[0]] : pool[0]));
  for (const parts of state.examples.get(target.name) ?? []) yield { chosen: parts, receiver: receivers[0] };
  for (const receiver of receivers) yield { chosen: base, receiver };
  for (const [at, pool] of pools.entries()) {
    for (const source of pool) yield { chosen: base.map((one, place) => (place === at ? source : one)), receiver: receivers[0] };
  }
  if (!pools.length) return;
  for (let turn = 0; pools.length > 1 && turn < 60 * (pools.length - 1); turn++) {
    const from = gained.length && random() < 0.6 ? [...pick(gained).chosen] : [...base];
    while (from.length < pools.length) from.push(null);
    for (let step = 0; step < 2; step++) {
      const at = Math.floor(random() * pools.length);
      from[at] = pick(pools[at]);
    }
    yield { chosen: from, receiver: pick(receivers) };
  }
  for (;;) {
    const from = gained.length && random() < 0.75 ? [...pick(gained).chosen] : pools.map(pick);
    while (from.length < pools.length) from.push(null);
    const at = Math.floor(random() * pools.length);
    from[at] = target.params[at]?.rest ? Array.from({ length: Math.floor(random() * 4) }, () => pick(pools[at]))
      : random() < 0.5 || typeof from[at] !== 'string' ? pick(pools[at]) : mutated(from[at], pools[at], random);
    yield { chosen: from, receiver: pick(receivers) };
  }
}

/** A neighbour of a literal; another of the pool where it is none. */
function mutated(source, pool, random) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  if (/^-?\d+(\.\d+)?$/.test(source)) {
    const value = Number(source);
    return String(pick([value + 1, value - 1, value * 10, -value, value * 2, Math.floor(value / 2), value + 0.5]));
  }
  const plain = /^(['"])((?:[^\\]|\\.)*)\1$/.exec(source);
  if (!plain) return pick(pool);
  let text;
  try {
    text = vm.runInThisContext(source);
  } catch {
    return pick(pool);
  }
  const at = Math.floor(random() * (text.length + 1));
  const way = Math.floor(random() * 7);
  if (way === 0) text = text.slice(0, at) + text.slice(at + 1);
  else if (way === 1) text = text.slice(0, at) + pick([..." -_.,:;/\\'\"0179azAZ\n\t\u00e9&<>%#()[]{}+=*^~|vx"]) + text.slice(at);
  else if (way === 2) text += text.slice(-1);
  else if (way === 3) text = pick([text.toUpperCase(), text.toLowerCase(), text.trim(), text.charAt(0).toUpperCase() + text.slice(1)]);
  else if (way === 4) text = text.slice(0, at);
  else {
    const other = pick(pool.filter((one) => /^['"]/.test(one)));
    if (!other) return pick(pool);
    try {
      text = text + pick(['', ' ', '-', ' || ', ' - ']) + vm.runInThisContext(other);
    } catch {
      return pick(pool);
    }
  }
  return JSON.stringify(text.slice(0, 120));
}

function answer(state, targets, listed, importRanges) {
  const cuts = [...state.cuts].sort((a, b) => a - b);
  const segments = [];
  for (let at = 0; at + 1 < cuts.length; at++) {
    if (/[^\s{}()[\];,]/.test(state.text.slice(cuts[at], cuts[at + 1]))) segments.push([cuts[at], cuts[at + 1]]);
  }
  const within = (ranges) => segments.filter(([from, to]) => ranges.some(([start, end]) => start <= from && to <= end));
  const importLines = state.coverage.lines(importRanges);
  const importSegments = within(importRanges);
  const isOld = new Set(importSegments.map(String));
  const oldLines = new Set(importLines);
  const order = new Map(targets.map((target, place) => [target.name, place]));
  const pool = state.kept.slice(0, MOST_CANDIDATES);
  pool.sort((a, b) => order.get(a.target.name) - order.get(b.target.name) || (a.outcome.kind === 'exception') - (b.outcome.kind === 'exception'));
  const blocks = pool.map((made) => {
    const { outcome } = made;
    const text = (lines) => `test('test_', ${outcome.awaited ? 'async ' : ''}() => {\n${lines.map((line) => `  ${line}\n`).join('')}});\n`;
    const base = made.target.name.replace(/[^A-Za-z0-9]+/g, '_');
    const raised = outcome.kind === 'exception' ? `_throws_${outcome.key.slice(2)}` : '';
    const used = targets.filter((target) => target.kind !== 'method' && target.kind !== 'property' && new RegExp(`(?<![\\w$.])${target.name.replace(/\$/g, '\\$')}(?![\\w$])`).test(made.expression));
    const owners = new Set([...used.map((one) => one.name), ...(made.target.owner ? [made.target.owner] : [])]);
    return {
      name: `test_${base}${raised}`, strong: text(outcome.strong), weak: outcome.weak ? text(outcome.weak) : null, target: made.target.name,
      imports: [...owners].map((name) => [targets.find((one) => one.name === name)?.how ?? made.target.how, name]),
      oracle: outcome.kind, kills: [],
      cost: made.expression.length + (outcome.size ?? 0) / 2 + { value: 0, type: 40, exception: 60 }[outcome.kind] + (outcome.empty ? 15 : 0) + (raised.endsWith('TypeError') ? 60 : 0) | 0,
      lines: state.coverage.lines(made.ranges).filter((line) => !oldLines.has(line)),
      branches: within(made.ranges).filter((segment) => !isOld.has(String(segment))),
    };
  });
  return {
    blocks, targets: listed, mutants: null, executed: state.executed, late: state.late,
    universe: { lines: [...new Set(state.coverage.code.map(([line]) => line))].sort((a, b) => a - b), branches: segments },
    import: { lines: importLines, branches: importSegments },
  };
}
