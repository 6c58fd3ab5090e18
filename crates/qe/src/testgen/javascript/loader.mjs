// Hooks for `import`: TypeScript is compiled when it is loaded, and found under the names that its imports give it.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { stripped, transpilerOf } from './typescript.mjs';

let transpiler = null;

export function initialize({ root }) {
  transpiler = transpilerOf(root);
}

export async function resolve(specifier, context, next) {
  if (/^\.{1,2}\//.test(specifier) && context.parentURL?.startsWith('file:')) {
    const wanted = path.resolve(path.dirname(fileURLToPath(context.parentURL)), specifier);
    const bare = wanted.replace(/\.([mc]?)js$/, '.$1ts');
    const places = [wanted, bare, `${wanted}.ts`, `${wanted}.mts`, path.join(wanted, 'index.ts')];
    const found = places.find((place) => fs.existsSync(place) && fs.statSync(place).isFile());
    if (found && /\.[mc]?ts$/.test(found)) return { url: pathToFileURL(found).href, shortCircuit: true };
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  const plain = url.split('?')[0];
  if (!plain.startsWith('file:') || !/(?<!\.d)\.[mc]?ts$/.test(plain) || plain.includes('/node_modules/')) return next(url, context);
  const file = fileURLToPath(plain);
  return { format: 'module', source: stripped(transpiler.run(fs.readFileSync(file, 'utf8'), file)).code, shortCircuit: true };
}
