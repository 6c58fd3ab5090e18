// Which tests notice which planted fault: each fault is a copy of the module, and the tests run against it.

import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { guard, install } from './guard.mjs';
import { names, one, stemOf } from './outcome.mjs';

export async function run(request) {
  const began = Date.now();
  const file = path.join(request.scratch, request.file);
  const source = fs.readFileSync(file);
  const status = fs.openSync(request.status, 'w');
  const writeStatus = fs.writeSync.bind(fs);
  const { writeFileSync, rmSync } = fs;
  install(request.allow_effects && request.scratch);
  const stem = stemOf(request.file);
  const whole = names(await import(pathToFileURL(file)), stem);
  const steady = [];
  for (const [place, block] of request.blocks.entries()) {
    if (await one(block.text, whole) === 'passed') steady.push(place);
  }
  const kills = request.blocks.map(() => []);
  let tried = 0;
  const skip = new Set(request.skip);
  const imported = new Set(request.import_lines);
  for (const [number, fault] of request.faults.entries()) {
    if (Date.now() - began > request.wall_ms) break;
    tried++;
    if (skip.has(number)) continue;
    writeStatus(status, `${number}`.padEnd(20), 0);
    const text = Buffer.concat([source.subarray(0, fault.from), Buffer.from(fault.text), source.subarray(fault.to)]);
    const copy = path.join(path.dirname(file), `aqe-fault-${number}${path.extname(file)}`);
    guard.active = false;
    writeFileSync(copy, text);
    let held;
    try {
      held = names(await import(pathToFileURL(copy)), stem);
    } catch {
      // A module that cannot be imported is noticed by whatever imports it.
      for (const place of steady) kills[place].push(number);
      continue;
    } finally {
      guard.active = false;
      rmSync(copy);
    }
    for (const place of steady) {
      const block = request.blocks[place];
      if (!imported.has(fault.line) && !block.lines.includes(fault.line)) continue;
      if (await one(block.text, held) !== 'passed') kills[place].push(number);
    }
  }
  return { kills, tried };
}
