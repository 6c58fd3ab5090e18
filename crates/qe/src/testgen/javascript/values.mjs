// Inputs for a parameter, as source: what its type, its name and the text of the module let expect.

export const STRINGS = ["'hello world'", "''", "'a'", "'1.2.3'", "'Hello, World! 123'", "'  padded  '", "'42'", "'-3.5'", "'a-b_c.d'", "'fooBarBaz'",
  "'\\u00fcn\\u00ef c\\u00f6d\\u00e9'", "'A'", "'line1\\nline2'", "'x'.repeat(120)", "'a,b;c'", "'FOO_BAR'"];
export const NUMBERS = ['1', '0', '-1', '2', '10', '100', '1000', '1500', '12345', '0.5', '-1.5', '1e21', 'NaN', 'Infinity', '86400000'];
const BOOLEANS = ['true', 'false'];
export const ARRAYS = ['[1, 2, 3]', '[]', "['a', 'b']", '[[1, 2], [3, 4]]', "['foo', 'bar', 'baz']", '[null, undefined]', '[3, 1, 2]'];
export const OBJECTS = ['{}', '{ a: 1 }', "{ a: 1, b: 'x' }", 'null'];
export const FUNCTIONS = ['(x) => x', '() => true', '() => undefined', '(a, b) => a - b', '(x) => String(x)'];
export const MIXED = ["'hello world'", '1', "''", '0', 'true', 'null', 'undefined', '[1, 2, 3]', '{ a: 1 }', '-1.5', '[]', '(x) => x', "'42'", 'NaN'];

const NAMES = [
  [/^(s|str|string|text|name|input|word|words|line|path|url|prefix|suffix|sep|separator|char|pattern|format|title|html|source|plural|single|version|range|release|identifier|first|second|left|right)$|(Text|String|Name|Str)$/i, STRINGS],
  [/^(n|num|number|count|size|length|index|ms|milliseconds|bytes|limit|max|min|width|height|i|j|x|y|start|end|depth|loose)$|(Count|Size|Length|Index|Limit)$/i, NUMBERS],
  [/^(list|arr|array|items|values|versions|elements)$|(List|Array|s)$/, ARRAYS],
  [/^(fn|func|callback|cb|predicate|comparator|iteratee|mapper)$/i, FUNCTIONS],
  [/^(options|opts|config|obj|object|settings)$/i, OBJECTS],
  [/^(is|has|should|include|inclusive|strict)[A-Z]?|^(loose|long|verbose|inclusive)$/, BOOLEANS],
];

export const join = (...lists) => [...new Set(lists.flat())];

/** Literals of a module's text, with neighbours, and keys that it reads of options. */
export function literalsOf(text, documents) {
  const strings = [], numbers = [];
  const plain = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  for (const match of plain.matchAll(/'((?:[^'\\\n]|\\.){0,40})'|"((?:[^"\\\n]|\\.){0,40})"/g)) {
    const held = match[1] ?? match[2];
    if (!/^(use strict|node:.*|\.\.?\/.*)$/.test(held)) strings.push(`'${held.replace(/(?<!\\)'/g, "\\'")}'`);
  }
  for (const match of plain.matchAll(/(?<![\w$.])(\d+(?:\.\d+)?)(?![\w$])/g)) {
    const value = Number(match[1]);
    numbers.push(String(value), String(value + 1), String(value - 1), String(-value));
  }
  const units = [...plain.matchAll(/\bcase\s+'([^'\\]{1,20})'/g)].map((match) => match[1]);
  return {
    strings: join(strings).slice(0, 60), documented: quotedIn(documents), numbers: join(numbers).slice(0, 60), units,
    keys: join([...plain.matchAll(/\b(?:options?|opts|config|settings)\??\.(\w+)/g)].map((match) => match[1])).slice(0, 24),
    patterns: [...plain.matchAll(/(?<![\w$)\]/*])\/((?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)\/([a-z]*)/g)].map((match) => match[1]).slice(0, 20),
  };
}

/** Strings in the code of documents. */
function quotedIn(text) {
  const code = [...text.matchAll(/^```\w*\n([\s\S]*?)^```/gm)].map((match) => match[1]).join('\n').replace(/^\s*import .*$|require\(.*?\)/gm, '');
  return join([...code.matchAll(/'((?:[^'\\\n]|\\.){1,40})'/g)].map((match) => `'${match[1]}'`)).slice(0, 30);
}

/** Sources for one parameter, the most telling first. */
export function poolOf(param, type, literals, random) {
  // What the compiler takes: its sources, and literals of the file where any text or number will do.
  if (Array.isArray(type)) {
    const more = [...(type.includes(STRINGS[0]) ? [...literals.strings.slice(0, 24), ...literals.documented] : []), ...(type.includes(NUMBERS[0]) && type.length >= NUMBERS.length ? literals.numbers.slice(0, 30) : [])];
    const made = type.includes(STRINGS[0]) ? literals.patterns.map((pattern) => matching(pattern, random)).filter(Boolean).map((text) => JSON.stringify(text)) : [];
    return join(type.slice(0, 4), made, more, type.slice(4)).slice(0, 90);
  }
  const fallback = param.fallback ? [param.fallback === 'true' ? 'false' : param.fallback === 'false' ? 'true' : param.fallback] : [];
  let pool = type ? ofType(type) : [];
  if (!pool.length && param.fallback) {
    pool = /^['"`]/.test(param.fallback) ? STRINGS : /^-?\d/.test(param.fallback) ? NUMBERS : /^(true|false)$/.test(param.fallback) ? BOOLEANS
      : /^\{/.test(param.fallback) ? OBJECTS : /^\[/.test(param.fallback) ? ARRAYS : [];
  }
  if (!pool.length) pool = NAMES.find(([pattern]) => pattern.test(param.name))?.[1] ?? [];
  const isOptions = pool === OBJECTS || param.keys?.length;
  if (isOptions) pool = join(options(param, literals), pool);
  const texty = pool === STRINGS || !pool.length;
  const numeric = pool === NUMBERS || !pool.length;
  const made = texty ? literals.patterns.map((pattern) => matching(pattern, random)).filter(Boolean).map((text) => JSON.stringify(text)) : [];
  const units = texty ? literals.units.flatMap((unit) => [`'5 ${unit}'`, `'1.5${unit}'`, `'-3${unit}'`]) : [];
  pool = pool.length ? pool : MIXED;
  return join(pool.slice(0, 4), made, texty ? [...literals.strings.slice(0, 24), ...literals.documented] : [], numeric ? literals.numbers.slice(0, 30) : [], pool.slice(4), units, fallback,
    type ? [] : ['null', 'undefined', texty ? '1' : "'a'"]).slice(0, 90);
}

function ofType(type) {
  const found = [];
  for (const part of type.toLowerCase().split('|').map((one) => one.trim().replace(/[()!=]/g, ''))) {
    if (part.startsWith('?')) found.push('null');
    const plain = part.replace(/^\?/, '');
    if (/\[\]$|^array/.test(plain)) found.push(...ARRAYS);
    else if (plain === 'string') found.push(...STRINGS);
    else if (plain === 'number') found.push(...NUMBERS);
    else if (plain === 'boolean') found.push(...BOOLEANS);
    else if (plain === 'object' || plain.startsWith('{')) found.push(...OBJECTS);
    else if (plain === 'function') found.push(...FUNCTIONS);
    else if (plain === 'regexp') found.push('/a+/', '/x/gi');
    else if (/^['"]/.test(plain)) found.push(plain);
  }
  // One list stays the same list, so that it is known for what it is.
  return [STRINGS, NUMBERS, BOOLEANS, OBJECTS].find((one) => one.length === found.length && one[0] === found[0]) ?? join(found);
}

function options(param, literals) {
  const keys = join((param.keys ?? []).map((one) => one.name), literals.keys);
  const found = keys.slice(0, 16).flatMap((key) => [`{ ${key}: true }`, `{ ${key}: false }`]);
  for (const key of keys.slice(0, 10)) found.push(`{ ${key}: 1 }`, `{ ${key}: '-' }`, `{ ${key}: 3 }`);
  for (let at = 0; at + 1 < Math.min(keys.length, 10); at++) found.push(`{ ${keys[at]}: true, ${keys[at + 1]}: true }`);
  return found;
}

/** A string that a simple regular expression is likely to match; null for what is beyond this. */
export function matching(pattern, random) {
  let text = '';
  let rest = pattern.replace(/^\^|\$$/g, '');
  for (let step = 0; rest && step < 60; step++) {
    const piece = /^(\((?:\?:|\?<\w+>)?((?:[^()\\]|\\.)*)\)|\[((?:[^\]\\]|\\.)*)\]|\\.|[^()[\]\\])([*+?]|\{\d+(?:,\d*)?\})?\??/.exec(rest);
    if (!piece) return null;
    rest = rest.slice(piece[0].length);
    const times = piece[4] === '?' || piece[4] === '*' ? Math.floor(random() * 2) : piece[4]?.startsWith('{') ? Number(/\d+/.exec(piece[4])[0]) : 1;
    let one;
    if (piece[2] !== undefined) {
      const ways = piece[2].split('|');
      one = matching(ways[Math.floor(random() * ways.length)], random) ?? '';
    } else if (piece[3] !== undefined) one = piece[3].startsWith('^') ? 'x' : ofSet(piece[3], random);
    else if (piece[1] === '.') one = 'a';
    else if (piece[1] === '|') { if (text) return text; one = ''; }
    else if (piece[1] === '^' || piece[1] === '$') one = '';
    else if (piece[1].startsWith('\\')) one = { d: '7', w: 'w', s: ' ', b: '', B: '', n: '\n', t: '\t', D: 'x', W: '-', S: 'x' }[piece[1][1]] ?? piece[1][1];
    else one = piece[1];
    text += one.repeat(Math.min(times, 4));
  }
  return text;
}

function ofSet(set, random) {
  const plain = set.replace(/\\d/g, '0-9').replace(/\\w/g, 'a-z').replace(/\\s/g, ' ').replace(/\\(.)/g, '$1');
  const all = [];
  for (let at = 0; at < plain.length; at++) {
    if (plain[at + 1] === '-' && plain[at + 2]) {
      all.push(plain[at], plain[at + 2]);
      at += 2;
    } else all.push(plain[at]);
  }
  return all[Math.floor(random() * all.length)] ?? 'a';
}
