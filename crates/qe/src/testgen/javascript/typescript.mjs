// TypeScript by what the project compiles it with, or by Node itself where it can; and what types say of inputs.

import fs from 'node:fs';
import { createRequire, register } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';

import { closing, split } from './discover.mjs';
import { ARRAYS, FUNCTIONS, MIXED, NUMBERS, OBJECTS, STRINGS, join } from './values.mjs';

let transpiler = null;

/** {name, run(text, file)} of the project's packages, or null. What runs gives {code, map}. */
export function transpilerOf(root) {
  const require = createRequire(path.join(root, 'package.json'));
  const load = (name) => {
    try {
      return require(name);
    } catch {
      return null;
    }
  };
  const ts = load('typescript');
  if (typeof ts?.transpileModule === 'function') {
    const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, sourceMap: true, experimentalDecorators: true, verbatimModuleSyntax: false };
    return {
      name: `typescript ${ts.version}`,
      run: (text, file) => {
        const made = ts.transpileModule(text, { compilerOptions, fileName: file });
        return { code: made.outputText, map: made.sourceMapText };
      },
    };
  }
  const esbuild = load('esbuild');
  if (esbuild?.transformSync) {
    return { name: `esbuild ${esbuild.version}`, run: (text) => esbuild.transformSync(text, { loader: 'ts', target: 'es2022', sourcemap: true, sourcesContent: false }) };
  }
  const swc = load('@swc/core');
  if (swc?.transformSync) {
    return { name: `swc ${swc.version}`, run: (text) => swc.transformSync(text, { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, sourceMaps: true }) };
  }
  const sucrase = load('sucrase');
  if (sucrase?.transform) {
    return { name: `sucrase ${sucrase.getVersion?.() ?? ''}`, run: (text) => ({ code: sucrase.transform(text, { transforms: ['typescript'] }).code, map: null }) };
  }
  return null;
}

/** Makes `import` take TypeScript from here on. */
export async function prepare(request) {
  transpiler = transpilerOf(request.scratch);
  if (transpiler) {
    register('./loader.mjs', import.meta.url, { data: { root: request.scratch } });
    return;
  }
  if (!process.features.typescript) {
    throw Object.assign(new Error('no TypeScript'), {
      failed: `${request.file}: plan only: no way to run TypeScript here: install typescript, esbuild, @swc/core or sucrase in the project, or run Node.js 22.18 (this is ${process.version})`,
    });
  }
}

export const toolName = () => (transpiler ? `, ${transpiler.name}` : '');

/** What runs for a file: {code, line}, where `line` leads from a line of the code to one of the source, or to 0. */
export function compiled(text, file) {
  if (!transpiler || !/\.[mc]?ts$/.test(file)) return { code: text, line: (line) => line };
  const { code, map } = stripped(transpiler.run(text, file));
  const lines = map ? linesOf(map) : null;
  return { code, line: (line) => (lines ? lines[line - 1] ?? 0 : line) };
}

/** Without the comment that names the map. */
export const stripped = ({ code, map }) => ({ code: code.replace(/^\/\/# sourceMappingURL=.*$/m, ''), map: typeof map === 'string' && map ? JSON.parse(map).mappings : map?.mappings ?? null });

/** For each line of the code the line of the source that it begins with (source map revision 3, VLQ in base 64). */
export function linesOf(mappings) {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  let source = 0;
  return mappings.split(';').map((line) => {
    let first = 0;
    for (const segment of line.split(',')) {
      const fields = [];
      let value = 0, shift = 0;
      for (const one of segment) {
        const digit = digits.indexOf(one);
        value += (digit & 31) << shift;
        shift += 5;
        if (!(digit & 32)) {
          fields.push(value & 1 ? -(value >> 1) : value >> 1);
          value = shift = 0;
        }
      }
      if (fields.length < 4) continue;
      source += fields[2];
      first ||= source + 1;
    }
    return first;
  });
}

/** Types of parameters by function, class (of its constructor) and `Class.method`: {name: [sources or null]}. */
export function typesOf(text) {
  const plain = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, (found) => found.replace(/[^\n]/g, ' '));
  const declared = declarations(plain);
  const found = new Map();
  const add = (name, open) => {
    const close = closing(plain, open);
    if (close < 0 || found.has(name)) return;
    found.set(name, split(plain.slice(open + 1, close)).map((part) => {
      const bare = part.replace(/^(?:(?:public|private|protected|readonly)\s+)+/, '');
      const at = bare.startsWith('{') || bare.startsWith('[') ? closing(bare, 0) + 1 : bare.search(/[:=]/);
      const colon = /^\??\s*:/.exec(at < 0 ? '' : bare.slice(at).replace(/^\s+/, '')) ?? (bare[at] === ':' ? [':'] : null);
      if (!colon) return null;
      const type = bare.slice(bare.indexOf(':', Math.max(0, at)) + 1).replace(/(?<!=)=(?![=>])[\s\S]*$/, '').trim();
      const sources = sourcesOf(type, declared, 0);
      return sources.length && /^[^:]*\?\s*:/.test(bare) ? join(sources, ['undefined']) : sources.length ? sources : null;
    }));
  };
  for (const match of plain.matchAll(/\bfunction\s*\*?\s*([\w$]+)\s*(?:<[^()]*>)?\s*\(/g)) add(match[1], match.index + match[0].length - 1);
  for (const match of plain.matchAll(/\b(?:const|let)\s+([\w$]+)\s*(?::[^=]+)?=\s*(?:async\s*)?(?:<[^()]*>)?\s*\(/g)) add(match[1], match.index + match[0].length - 1);
  for (const match of plain.matchAll(/\bclass\s+([\w$]+)[^{]*\{/g)) {
    const open = match.index + match[0].length - 1;
    const end = closing(plain, open);
    const body = plain.slice(open, end);
    for (const method of body.matchAll(/^\s*(?:(?:public|static|async|override)\s+)*([\w$]+)\s*(?:<[^()]*>)?\s*\(/gm)) {
      if (/^(if|for|while|switch|return|catch)$/.test(method[1])) continue;
      add(method[1] === 'constructor' ? match[1] : `${match[1]}.${method[1]}`, open + method.index + method[0].length - 1);
    }
  }
  return found;
}

/** What a file says of names of types: aliases, enumerations, interfaces. */
function declarations(text) {
  const found = new Map();
  for (const match of text.matchAll(/\btype\s+([\w$]+)\s*=\s*([^;]+?)(?:;|\n\s*\n|\n(?=export|const|function|type|interface|class|enum))/g)) found.set(match[1], { type: match[2] });
  for (const match of text.matchAll(/\binterface\s+([\w$]+)[^{]*\{/g)) {
    const open = match.index + match[0].length - 1;
    found.set(match[1], { type: text.slice(open, closing(text, open) + 1) });
  }
  for (const match of text.matchAll(/\benum\s+([\w$]+)\s*\{([^}]*)\}/g)) {
    let next = 0;
    found.set(match[1], {
      sources: split(match[2]).map((member) => {
        const value = member.split('=')[1]?.trim() ?? String(next);
        if (/^-?\d+$/.test(value)) next = Number(value) + 1;
        return value;
      }),
    });
  }
  return found;
}

/** At `|` outside of brackets. */
function alternatives(type) {
  const marked = split(type.replace(/=>/g, '\u0001').replace(/\|/g, ',,'));
  return /[({[]/.test(type) && type.includes(',') ? [type.replace(/^\|/, '')] : marked.map((one) => one.replace(/\u0001/g, '=>'));
}

function sourcesOf(given, declared, depth) {
  const type = given.trim().replace(/^\|/, '').replace(/^readonly\s+/, '').trim();
  if (!type || depth > 5) return [];
  const parts = alternatives(type);
  if (parts.length > 1) return join(...parts.map((part) => sourcesOf(part, declared, depth + 1)));
  if (/^(['"`]).*\1$|^-?\d+(\.\d+)?$|^(true|false|null|undefined)$/.test(type)) return [type];
  if (type === 'string') return STRINGS;
  if (type === 'number') return NUMBERS;
  if (type === 'boolean') return ['true', 'false'];
  if (type === 'bigint') return ['0n', '1n', '-5n', '12345678901234567890n'];
  if (type === 'void') return ['undefined'];
  if (type === 'any' || type === 'unknown') return MIXED;
  if (type === 'object' || /^Record</.test(type)) return OBJECTS.filter((one) => one !== 'null');
  if (type === 'Date') return ["new Date('2024-02-29T12:30:00Z')", 'new Date(0)', 'new Date(NaN)'];
  if (type === 'RegExp') return ['/a+/', '/x/gi'];
  if (/=>/.test(type)) return FUNCTIONS;
  const array = /^(.*)\[\]$/s.exec(type) ?? /^(?:Readonly)?(?:Array|Iterable|Set)<(.*)>$/s.exec(type);
  if (array) {
    const each = sourcesOf(array[1].replace(/^\((.*)\)$/s, '$1'), declared, depth + 1);
    if (!each.length) return ['[]'];
    const lists = [`[${each.slice(0, 3).join(', ')}]`, '[]', `[${each[0]}]`, `[${each.slice(0, 6).reverse().join(', ')}]`, `[${each[0]}, ${each[0]}]`];
    return /^Set</.test(type) ? lists.map((list) => `new Set(${list})`) : lists;
  }
  const optional = /^(Partial|Readonly|Required)<(.*)>$/s.exec(type);
  if (optional) return join(sourcesOf(optional[2], declared, depth + 1), optional[1] === 'Partial' ? ['{}'] : []);
  if (type.startsWith('{')) return objects(type.slice(1, -1), declared, depth);
  if (type.startsWith('[')) {
    const each = split(type.slice(1, -1)).map((one) => sourcesOf(one, declared, depth + 1));
    return each.every((one) => one.length) ? [0, 1, 2].map((turn) => `[${each.map((one) => one[turn % one.length]).join(', ')}]`) : ARRAYS;
  }
  const known = declared.get(type.replace(/<.*$/s, ''));
  return known?.sources ?? (known ? sourcesOf(known.type, declared, depth + 1) : []);
}

/** Objects of the fields of an interface: with all, with those alone that must be, and with each value of each. */
function objects(body, declared, depth) {
  const fields = split(body.replace(/;|\n/g, ',')).map((part) => /^(?:readonly\s+)?([\w$]+)(\??)\s*:\s*([\s\S]+)$/.exec(part)).filter(Boolean)
    .map(([, name, mark, type]) => ({ name, free: mark === '?', sources: sourcesOf(type, declared, depth + 1) })).filter((field) => field.sources.length);
  const made = (some, turn = () => 0) => `{ ${some.map((field) => `${field.name}: ${field.sources[turn(field) % field.sources.length]}`).join(', ')} }`.replace('{  }', '{}');
  const found = [made(fields), made(fields.filter((field) => !field.free))];
  for (const field of fields.slice(0, 8)) {
    for (let at = 1; at < Math.min(field.sources.length, 8); at++) found.push(made(fields, (one) => (one === field ? at : 0)));
  }
  return join(found).slice(0, 40);
}
