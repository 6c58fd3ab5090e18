"""Runs real tests as one graph of a fleet and by hand, and compares what they say: `python fleet.py -- COMMAND…`.

The graph is the test files of a package from PyPI by pytest, each a task, with one that fails on purpose, and after them a part of
this workspace's tests by cargo-nextest, or by `cargo test` where that is not installed. AQE_WORKSPACE says where the workspace
is. The command is a gateway whose last argument is a file of configuration; it gets another one.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time

from tools import check, finish, opened

PACKAGE = "python-slugify==9.2.0"
CRATE, FILTER = "aqe-core", "work::"
FAILS = "def test_fails():\n    assert 1 == 2\n\n\ndef test_passes():\n    assert True\n"
# Longest waiting, seconds: for the compiler, most of all.
PATIENCE = 600
# What a task's program gets of the environment, beside what its profile says.
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


def unpacked():
    """The package's sdist, with one file of tests more."""
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*download, "--no-binary", ":all:", "-d", "sdist", PACKAGE], check=True)
    shutil.unpack_archive(glob.glob("sdist/*.tar.gz")[0], "sdist")
    folder = os.path.abspath(next(one for one in glob.glob("sdist/*") if os.path.isdir(one)))
    with open(os.path.join(folder, "tests", "test_on_purpose.py"), "w", encoding="utf-8") as file:
        file.write(FAILS)
    return folder


def counts(text):
    """Tests that passed, failed and were skipped, as pytest, cargo-nextest and libtest say it last."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line for line in text.splitlines() if re.search(r"\d+ (passed|failed)", line)]
    # libtest has a line for each binary; the others one in all.
    lines = lines if lines and lines[-1].startswith("test result:") else lines[-1:]
    return {word: sum(int(n) for line in lines for n in re.findall(rf"(\d+) {word}", line)) for word in ("passed", "failed", "skipped")}


def by_hand(argv, folder, env):
    given = {name: os.environ[name] for name in KEPT if name in os.environ}
    ended = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, env={**given, **env})
    return ended.returncode, counts(ended.stdout + ended.stderr)


def written(attempt):
    parts = [attempt["result"][name] for name in ("stdout", "stderr")]
    return "".join(part.get("head", "") + part.get("tail", "") for part in parts)


def main():
    workspace = os.environ["AQE_WORKSPACE"]
    package = unpacked()
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=workspace, capture_output=True, text=True, check=True
    )
    rust_env = {"CARGO_TARGET_DIR": json.loads(metadata.stdout)["target_directory"]}
    python_env = {"PYTHONDONTWRITEBYTECODE": "1"}
    has_nextest = subprocess.run(["cargo", "nextest", "--version"], capture_output=True, check=False).returncode == 0
    runner = "nextest" if has_nextest else "cargo-test"
    config = os.path.abspath("fleet.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"[qe]\nroots = [{json.dumps(os.getcwd())}]\n")
        for name, cwd, env in (("pytest", package, python_env), (runner, workspace, rust_env)):
            pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in env.items())
            file.write(f"[[fleet.profile]]\nname = {json.dumps(name)}\ncwd = {json.dumps(cwd)}\nenv = {{ {pairs} }}\n")

    files = sorted(os.path.relpath(one, package) for one in glob.glob(os.path.join(package, "tests", "test_*.py")))
    tasks = [{"key": one, "profile": "pytest", "args": {"paths": [one]}} for one in files]
    args = {"package": CRATE, "filters": [FILTER]} if has_nextest else {"package": CRATE, "filter": FILTER}
    tasks.append({"key": "rust", "profile": runner, "args": args, "depends_on": files, "on": "done"})
    hand = {one: by_hand(["pytest", "-q", one], package, python_env) for one in files}
    rust = ["nextest", "run", "--no-fail-fast", f"--package={CRATE}", FILTER] if has_nextest else ["test", f"--package={CRATE}", FILTER]
    hand["rust"] = by_hand(["cargo", *rust], workspace, rust_env)

    _, tools = opened([*sys.argv[:-1], config])
    workers = [{"profile": "pytest", "max": 4}, {"profile": runner, "max": 1}]
    tools.call("qe_fleet_init", workers=workers, max_concurrency=4)
    run = tools.call("qe_task_orchestrate", tasks=tasks)
    until = time.monotonic() + PATIENCE
    while run["state"] == "running" and time.monotonic() < until:
        time.sleep(0.2)
        run = tools.call("qe_fleet_status", run_id=run["run_id"], limit=200)
    details = {task["key"]: tools.call("qe_fleet_status", task_id=task["task_id"]) for task in run["tasks"]}
    last = {key: detail["attempts"][-1] for key, detail in details.items() if detail["attempts"]}
    fleet = {key: (attempt["result"]["exit_code"], counts(written(attempt))) for key, attempt in last.items()}
    for key in hand:
        check(f"{key} by the fleet and by hand", fleet.get(key) == hand[key], f"{fleet.get(key)} and {hand[key]}")
    of = lambda results, word: sum(found[word] for _, found in results.values())
    for word in ("passed", "failed"):
        check(f"tests that {word} in all", of(fleet, word) == of(hand, word) > 0, f"{of(fleet, word)} and {of(hand, word)}")
    began, ended = last["rust"]["started"], max(last[key]["ended"] for key in files)
    check(f"{runner} began after the last of {len(files)} files", ended <= began, f"{ended} and {began}")
    tools.call("qe_fleet_init", remove="idle")
    check("the fleet is removed", tools.call("qe_fleet_status")["fleets"] == [], "none is left")
    tools.close()
    finish()


main()
