// One request from standard input, one answer to standard output; what the project prints goes nowhere.

import fs from 'node:fs';
import process from 'node:process';

const request = JSON.parse(fs.readFileSync(0, 'utf8'));
const write = fs.writeSync.bind(fs);
const exit = process.exit.bind(process);

let tool = '';

function answer(result) {
  const bytes = Buffer.from(JSON.stringify({ ...result, version: `${process.version}${tool}` }));
  for (let at = 0; at < bytes.length;) {
    try {
      at += write(1, bytes, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
  // Timers and handles of the project are not waited for.
  exit(0);
}

for (const stream of [process.stdout, process.stderr]) {
  stream.write = () => true;
}
process.chdir(request.scratch);
// What nobody waits for belongs to no case.
process.on('unhandledRejection', () => {});
process.on('uncaughtException', () => {});

try {
  const parts = { search: './search.mjs', fresh: './outcome.mjs', faults: './faults.mjs', judge: './judge.mjs' };
  if (/\.[mc]?ts$/.test(request.file)) {
    const typescript = await import('./typescript.mjs');
    await typescript.prepare(request);
    tool = typescript.toolName();
  }
  const part = await import(parts[request.mode]);
  answer(await part.run(request));
} catch (error) {
  answer({ failed: error?.failed ?? `the harness failed: ${error?.stack ?? error}` });
}
