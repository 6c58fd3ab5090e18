// Reads paths of JavaScript files, one a line, and writes for each `[path, [[line, complexity], …]]` as ESLint's rule
// "complexity" counts it, or `[path, null]` if it cannot read the file.

import { readFileSync } from "node:fs";
import { Linter } from "eslint";
import { builtinRules } from "eslint/use-at-your-own-risk";

const rule = builtinRules.get("complexity");
let found = [];
// The rule reports where a function's arrow or name stands; the beginning of the function is wanted.
const recording = {
  meta: rule.meta,
  create(context) {
    const report = ({ node, data }) => found.push([node.loc.start.line, data.complexity]);
    return rule.create(Object.create(context, { report: { value: report } }));
  },
};
const linter = new Linter({ configType: "flat" });
for (const path of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  let messages;
  for (const sourceType of ["module", "script"]) {
    found = [];
    messages = linter.verify(readFileSync(path, "utf8"), {
      plugins: { our: { rules: { complexity: recording } } },
      rules: { "our/complexity": ["error", 0] },
      languageOptions: { sourceType, ecmaVersion: "latest" },
      linterOptions: { reportUnusedDisableDirectives: "off" },
    }, { allowInlineConfig: false });
    if (!messages.some((message) => message.fatal)) break;
  }
  console.log(JSON.stringify([path, messages.some((message) => message.fatal) ? null : found]));
}
