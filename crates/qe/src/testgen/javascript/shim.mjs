// What test files import as `node:test`: it collects tests instead of running them.

let file = '', found = [], scopes = [{ title: '', before: [], after: [], beforeEach: [], afterEach: [], started: false }], waiting = [];

export function begin(name) {
  file = name;
  found = [];
  scopes = [{ title: '', before: [], after: [], beforeEach: [], afterEach: [], started: false }];
  waiting = [];
}

export const collected = () => found;
export const settled = () => Promise.all(waiting);

function parts(args) {
  const title = typeof args[0] === 'string' ? args[0] : args.find((one) => typeof one === 'function')?.name || '<anonymous>';
  const options = args.find((one) => one !== null && typeof one === 'object') ?? {};
  return { title, options, body: args.find((one) => typeof one === 'function') };
}

/** With a callback where the test wants one, as Node has it. */
const call = (body, ...args) => (body.length > args.length
  ? new Promise((resolve, reject) => body(...args, (error) => (error ? reject(error) : resolve())))
  : body(...args));

export function test(...args) {
  const { title, options, body } = parts(args);
  const around = [...scopes];
  const name = `${file}::${[...around.slice(1).map((scope) => scope.title), title].join(' > ')}`;
  const entry = {
    name, skipped: Boolean(options.skip || options.todo || !body),
    async run() {
      if (this.skipped) return;
      for (const scope of around) {
        if (!scope.started) {
          scope.started = true;
          for (const hook of scope.before) await call(hook);
        }
      }
      const afterwards = [];
      const context = {
        name: title, signal: new AbortController().signal, diagnostic() {}, skip() {}, todo() {}, plan() {}, assert: undefined,
        before: (hook) => call(hook), after: (hook) => { afterwards.push(hook); }, beforeEach() {}, afterEach() {},
        test: async (...inner) => { const { options: how, body: own } = parts(inner); if (own && !how.skip && !how.todo) await call(own, context); },
      };
      for (const scope of around) for (const hook of scope.beforeEach) await call(hook);
      try {
        await call(body, context);
      } finally {
        for (const hook of afterwards) await call(hook);
        for (const scope of [...around].reverse()) for (const hook of scope.afterEach) await call(hook);
      }
    },
  };
  found.push(entry);
  return Promise.resolve();
}

export function describe(...args) {
  const { title, options, body } = parts(args);
  if (options.skip || options.todo || !body) return;
  scopes.push({ title, before: [], after: [], beforeEach: [], afterEach: [], started: false });
  const end = () => { scopes.pop(); };
  let done;
  try {
    done = body();
  } catch (error) {
    end();
    throw error;
  }
  if (done && typeof done.then === 'function') waiting.push(done.finally(end));
  else end();
}

const hook = (kind) => (body) => { scopes[scopes.length - 1][kind].push(body); };
export const before = hook('before');
export const after = hook('after');
export const beforeEach = hook('beforeEach');
export const afterEach = hook('afterEach');
export const it = test, suite = describe;
for (const one of [test, describe]) {
  one.only = one;
  one.skip = (...args) => { if (one === test) test(parts(args).title, { skip: true }, () => {}); };
  one.todo = one.skip;
}
Object.assign(test, { test, it, describe, suite, before, after, beforeEach, afterEach });
export const mock = undefined;
export default test;
