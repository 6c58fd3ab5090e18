// Test files that somebody else wrote for `node:test`: run test by test, so that what each reaches is known.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import Module, { register } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { Coverage } from './coverage.mjs';
import { guard, install } from './guard.mjs';
import { Spans } from './search.mjs';
import * as shim from './shim.mjs';
import { compiled } from './typescript.mjs';

const TEST_MS = 5000;
const MOST_CHARS = 400;

export async function run(request) {
  const file = path.join(request.scratch, request.file);
  const text = fs.readFileSync(file, 'utf8');
  const built = compiled(text, file);
  register('./shimhooks.mjs', import.meta.url);
  const load = Module._load;
  Module._load = (name, ...rest) => (name === 'node:test' ? shim.test : load(name, ...rest));
  install(request.scratch);
  const url = pathToFileURL(file).href;
  const coverage = new Coverage(url, built.code, built.line);
  try {
    await import(url);
  } catch (error) {
    throw Object.assign(new Error('import'), { failed: `${request.file} cannot be imported: ${excerpt(error)}` });
  }
  const first = coverage.take();
  const broken = [], tests = [];
  const cuts = new Set(first?.cuts ?? []);
  for (const name of request.paths) {
    shim.begin(name);
    try {
      await import(pathToFileURL(path.join(request.scratch, name)));
      await shim.settled();
    } catch (error) {
      broken.push({ path: name, error: excerpt(error) });
      continue;
    }
    const all = shim.collected();
    if (!all.length) broken.push({ path: name, error: 'no test of node:test is in it' });
    tests.push(...all);
  }
  const imported = new Spans(first?.ranges ?? []);
  const ran = [];
  for (const one of request.backwards ? tests.reverse() : tests) {
    coverage.take();
    guard.active = true;
    let outcome = 'passed', error = null, timer;
    try {
      const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`it took more than ${TEST_MS} ms`)), TEST_MS); });
      await Promise.race([one.run(), late]);
    } catch (thrown) {
      outcome = 'failed';
      error = excerpt(thrown);
    } finally {
      clearTimeout(timer);
      guard.active = false;
    }
    const reached = coverage.take();
    for (const cut of reached?.cuts ?? []) cuts.add(cut);
    ran.push({ name: one.name, outcome: one.skipped ? 'skipped' : outcome, error, ranges: reached?.ranges ?? [] });
  }
  const places = [...cuts].sort((a, b) => a - b);
  const segments = [];
  for (let at = 0; at + 1 < places.length; at++) {
    if (/[^\s{}()[\];,]/.test(built.code.slice(places[at], places[at + 1]))) segments.push([places[at], places[at + 1]]);
  }
  const within = (ranges) => segments.filter(([from, to]) => ranges.some(([start, end]) => start <= from && to <= end));
  const importRanges = first?.ranges ?? [];
  const old = { lines: new Set(coverage.lines(importRanges)), branches: new Set(within(importRanges).map(String)) };
  return {
    broken, by: 'node:test, each test by itself', mutants: null,
    tests: ran.map(({ name, outcome, error, ranges }) => ({
      name, outcome, error, kills: [],
      lines: imported.isNew(ranges) ? coverage.lines(ranges).filter((line) => !old.lines.has(line)) : [],
      branches: within(ranges).filter((one) => !old.branches.has(String(one))),
    })),
    universe: { lines: [...new Set(coverage.code.map(([line]) => line))].sort((a, b) => a - b), branches: segments },
    import: { lines: [...old.lines], branches: within(importRanges) },
  };
}

const excerpt = (error) => String(error instanceof assert.AssertionError ? error.message : error?.stack ?? error).split('\n').slice(0, 6).join('\n').slice(0, MOST_CHARS);
