// What a module exports, and what its text says of inputs.

import { effectOf } from './guard.mjs';

const isClass = (value) => /^class\b/.test(Function.prototype.toString.call(value));
const isName = (text) => /^[A-Za-z_$][\w$]*$/.test(text);
const RESERVED = new Set(['default', 'delete', 'new', 'class', 'function', 'in', 'typeof', 'void', 'with', 'import', 'export', 'test', 'assert']);

/** Exported functions, classes, and their methods: {name, kind, value, how, call, params, source, effects}. */
export function targetsOf(module, stem) {
  const found = [];
  const seen = new Set();
  const add = (name, value, how) => {
    if (typeof value !== 'function' || seen.has(value) || !isName(name) || RESERVED.has(name) || name.startsWith('_')) return;
    seen.add(value);
    const source = Function.prototype.toString.call(value);
    if (/\{\s*\[native code\]\s*\}$/.test(source)) return;
    if (isClass(value)) {
      const made = /constructor\s*\(/.exec(source);
      found.push({ name, kind: 'class', value, how, owner: name, source, params: made ? parametersOf(source.slice(made.index)) : [], effects: effectOf(source) });
      for (const method of Object.getOwnPropertyNames(value.prototype)) {
        const held = Object.getOwnPropertyDescriptor(value.prototype, method);
        if (method === 'constructor' || method.startsWith('_') || !isName(method)) continue;
        if (typeof held.value === 'function') {
          const text = Function.prototype.toString.call(held.value);
          found.push({ name: `${name}.${method}`, kind: 'method', value: held.value, how, owner: name, method, source: text, params: parametersOf(text), effects: effectOf(text) ?? effectOf(source) });
        } else if (held.get) {
          found.push({ name: `${name}.${method}`, kind: 'property', value: held.get, how, owner: name, method, source: '', params: [], effects: null });
        }
      }
      return;
    }
    found.push({ name, kind: 'function', value, how, source, params: parametersOf(source), effects: effectOf(source) });
  };
  const whole = module.default;
  if (typeof whole === 'function') {
    const own = whole.name && whole.name !== 'default' && whole.name !== 'anonymous' && isName(whole.name) ? whole.name : stem;
    add(RESERVED.has(own) ? `${own}_` : own, whole, 'default');
  }
  const named = Object.keys(module).filter((name) => name !== 'default' && name !== 'module.exports');
  for (const name of named.sort()) add(name, module[name], 'named');
  if (whole && (typeof whole === 'object' || typeof whole === 'function')) {
    for (const name of Object.keys(whole).sort()) add(name, whole[name], 'member');
  }
  return found;
}

/** [{name, fallback, rest}] from a function's text. */
export function parametersOf(source) {
  const open = source.indexOf('(');
  const arrow = source.indexOf('=>');
  if (arrow >= 0 && (open < 0 || arrow < open)) {
    const name = source.slice(0, arrow).replace(/^async\s+/, '').trim();
    return isName(name) ? [{ name, fallback: null, rest: false }] : [];
  }
  const close = closing(source, open);
  if (open < 0 || close < 0) return [];
  return split(source.slice(open + 1, close).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')).map((text) => {
    const rest = text.startsWith('...');
    const [left, ...right] = text.replace(/^\.\.\./, '').split('=');
    const name = left.trim();
    return { name: isName(name) ? name : 'options', fallback: right.length ? right.join('=').trim() : null, rest, keys: isName(name) ? [] : keysOf(name) };
  });
}

const keysOf = (text) => split(text.replace(/^[{[]|[}\]]$/g, '')).map((part) => {
  const [name, fallback] = part.split('=');
  return { name: name.split(':')[0].trim(), fallback: fallback?.trim() ?? null };
}).filter((one) => isName(one.name));

/** Where the bracket at `open` closes. */
export function closing(text, open) {
  let depth = 0;
  for (let at = open; at >= 0 && at < text.length; at++) {
    const one = text[at];
    if (one === "'" || one === '"' || one === '`') {
      for (at++; at < text.length && text[at] !== one; at++) if (text[at] === '\\') at++;
    } else if ('([{'.includes(one)) depth++;
    else if (')]}'.includes(one) && --depth === 0) return at;
  }
  return -1;
}

/** At commas outside of brackets and quotes. */
export function split(text) {
  const parts = [];
  let begin = 0;
  for (let at = 0; at < text.length; at++) {
    if ('([{'.includes(text[at])) {
      const end = closing(text, at);
      if (end < 0) break;
      at = end;
    } else if (`'"\``.includes(text[at])) {
      const quote = text[at];
      for (at++; at < text.length && text[at] !== quote; at++) if (text[at] === '\\') at++;
    } else if (text[at] === ',') {
      parts.push(text.slice(begin, at));
      begin = at + 1;
    }
  }
  parts.push(text.slice(begin));
  return parts.map((part) => part.trim()).filter(Boolean);
}

/** Arguments of calls of `names` in text: {name: [[source]]}, of literals only. */
export function examplesIn(text, names) {
  const found = new Map();
  for (const name of names) {
    const call = new RegExp(`(?<![\\w$])${name.replace(/\$/g, '\\$')}\\(`, 'g');
    for (let match; (match = call.exec(text)) && (found.get(name)?.length ?? 0) < 40;) {
      const open = match.index + match[0].length - 1;
      const close = closing(text, open);
      if (close < 0 || close - open > 300) continue;
      const parts = split(text.slice(open + 1, close));
      if (parts.every(isLiteral)) found.set(name, [...(found.get(name) ?? []), parts]);
    }
  }
  return found;
}

const isLiteral = (text) => !/[A-Za-z_$][\w$]*/.test(
  text.replace(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`$\\]*`/g, '').replace(/\b(?:true|false|null|undefined|NaN|Infinity|e\d+|0x[\da-f]+|\d+n|\d+)\b/gi, '').replace(/[\w$]+\s*:/g, ''),
);

/** Types that JSDoc above a function gives its parameters: {parameter: type}. */
export function documented(text, source) {
  const at = text.indexOf(source.slice(0, 80));
  const before = at < 0 ? '' : text.slice(Math.max(0, at - 1500), at);
  const comment = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(?:export\s+|default\s+|module\.exports\s*=\s*|[\w$.]+\s*=\s*|const\s+[\w$]+\s*=\s*)*$/.exec(before);
  const types = {};
  for (const match of (comment?.[1] ?? '').matchAll(/@param\s+\{([^}]*)\}\s+\[?([\w$]+)/g)) types[match[2]] = match[1];
  return types;
}
