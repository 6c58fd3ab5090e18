A'use strict';
/** @param {number} a */
export const f = async ({ a = 1, ...rest }, b) => {
  for await (const x of rest) if (a?.b ?? (b ||= x)) break; else continue;
  switch (a) { case /re[/]x/g: return `t${a ? b : `${a}`}`; default: }
  try { throw new Error(); } catch { } finally { while (0); }
};
class A extends B { static #x = function* () { yield 1; }; get y() { return this.#x && !1; } }
