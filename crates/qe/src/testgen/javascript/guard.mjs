// Refuses what would touch something outside: files that are written, processes, the network, the end of this process.

import { createRequire, syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);

export class Refused extends Error {}

export const guard = { active: false, seen: null };

const WRITES = /^(write|append|rm|unlink|mkdir|mkdtemp|rename|copy|cp|chmod|chown|lchown|lchmod|symlink|link|truncate|ftruncate|utimes|lutimes|futimes|createWriteStream|open)/;
const MODULES = {
  fs: (name) => WRITES.test(name),
  'fs/promises': (name) => WRITES.test(name),
  child_process: () => true,
  net: (name) => /^(connect|createConnection|createServer)$/.test(name),
  dgram: () => true,
  http: (name) => /^(request|get|createServer)$/.test(name),
  https: (name) => /^(request|get|createServer)$/.test(name),
  http2: (name) => /^(connect|createServer|createSecureServer)$/.test(name),
  tls: (name) => /^(connect|createServer)$/.test(name),
  dns: (name) => /^(lookup|resolve|reverse)/.test(name),
  cluster: (name) => name === 'fork',
};

function refusing(what, real, isAllowed) {
  return function (...args) {
    if (!guard.active || isAllowed?.(args)) return Reflect.apply(real, this, args);
    guard.seen = what;
    throw new Refused(`${what} is not allowed here`);
  };
}

/**
 * Puts a refusal in front of each such function; project code is imported after this. With `folder`, files below it may be
 * written; processes and the network stay refused.
 */
export function install(folder) {
  const isInside = !folder ? undefined : (args) => {
    const paths = args.slice(0, 2).filter((one) => typeof one === 'string' || one instanceof URL);
    return paths.length > 0 && paths.slice(0, 1).concat(paths.slice(1).filter((one) => path.isAbsolute(String(one))))
      .every((one) => path.resolve(one instanceof URL ? fileURLToPath(one) : one).startsWith(`${folder}${path.sep}`));
  };
  for (const [module, isEffect] of Object.entries(MODULES)) {
    const held = require(`node:${module}`);
    const isAllowed = module.startsWith('fs') ? isInside : undefined;
    for (const name of Object.keys(held)) {
      if (typeof held[name] === 'function' && isEffect(name) && !/^[A-Z]/.test(name)) {
        held[name] = refusing(`${module}.${name}`, held[name], isAllowed);
      }
    }
  }
  for (const name of ['exit', 'reallyExit', 'abort', 'kill', 'chdir']) {
    process[name] = refusing(`process.${name}`, process[name]);
  }
  if (globalThis.fetch) globalThis.fetch = refusing('fetch', globalThis.fetch);
  syncBuiltinESMExports();
}

const SOURCE = /\b(?:require\(\s*['"](?:node:)?(child_process|net|http|https|dgram|dns|cluster)['"]|(process\.(?:exit|kill|abort|chdir))\s*\(|(fetch)\s*\(|fs(?:Promises)?\.((?:write|append|rm|unlink|mkdir|rename|copy|cp|chmod|symlink|truncate|createWriteStream)\w*)\s*\()/;

/** What a function's own source does to what is outside, or null. */
export function effectOf(source) {
  const found = SOURCE.exec(source);
  return found && `calls ${found.slice(1).find(Boolean)}`;
}
