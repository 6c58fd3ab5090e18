"""Copies sources of installed packages to the current folder, so that they are a project like another: `python corpus.py`.

Makes `python`, `javascript`, `java` and `rust`. Those of Rust are crates that cargo has fetched, whichever of CRATES there are;
`CARGO_HOME` says where, as for cargo.
"""

import glob
import importlib.util
import os
import shutil

from tools import MODULES, check, finish

PYTHON = ["_pytest", "anyio", "attr", "click", "coverage", "git", "httpx2", "humanize", "jsonschema", "mcp", "pydantic", "slugify", "starlette"]
JAVASCRIPT = ["eslint/lib", "express/lib", "semver", "ajv/lib", "istanbul-*/lib", "yargs/build/lib", "qs/lib", "debug/src", "undici/lib"]
JAVA = ["@capacitor/android/capacitor/src/main/java"]
CRATES = ["hyper-1.*", "tokio-util-*", "regex-automata-*", "serde_json-*", "clap_builder-*", "rustls-0.*"]
EXTENSIONS = {"python": ".py", "javascript": (".js", ".cjs", ".mjs"), "java": ".java", "rust": ".rs"}


def packages():
    """Language, folder, name of the copy."""
    for name in PYTHON:
        yield "python", importlib.util.find_spec(name).submodule_search_locations[0], name
    for language, patterns in (("javascript", JAVASCRIPT), ("java", JAVA)):
        for path in sorted(path for pattern in patterns for path in glob.glob(os.path.join(MODULES, pattern))):
            yield language, path, os.path.relpath(path, MODULES).replace(os.sep, "-")
    home = os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))
    for pattern in CRATES:
        # One version of each.
        for path in sorted(glob.glob(os.path.join(home, "registry/src/*", pattern)))[:1]:
            yield "rust", os.path.join(path, "src"), os.path.basename(path)


def main():
    counts = dict.fromkeys(EXTENSIONS, 0)
    for language, path, name in packages():
        for folder, folders, files in os.walk(path):
            # Such folders are left out of projects; here the files are what is looked at.
            folders[:] = [one for one in folders if one not in ("__pycache__", "node_modules", "vendor")]
            to = os.path.join(language, name, os.path.relpath(folder, path))
            for file in files:
                if file.endswith(EXTENSIONS[language]):
                    os.makedirs(to, exist_ok=True)
                    shutil.copyfile(os.path.join(folder, file), os.path.join(to, file))
                    counts[language] += 1
    for language, count in counts.items():
        check(f"sources of {language}", count > 0, f"{count} files")
    finish()


main()
