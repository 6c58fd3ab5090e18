// `node:test` is what collects tests.

export async function resolve(specifier, context, next) {
  return specifier === 'node:test' ? { url: new URL('./shim.mjs', import.meta.url).href, shortCircuit: true } : next(specifier, context);
}
