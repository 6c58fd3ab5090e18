"""One request from standard input, one answer to standard output; what the project prints goes nowhere."""

import json
import os
import sys
import time


def answer_to():
    """The real standard output, taken away from everybody else."""
    out = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    os.dup2(nothing, 0)
    return out


def run():
    began = time.monotonic()
    request = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    out = answer_to()
    from . import confine, guard

    scratch = os.path.realpath(request["scratch"])
    held = confine.confined([os.path.dirname(scratch)], [sys.prefix, sys.base_prefix, sys.exec_prefix] + sys.path)
    guard.limit(request["memory"], request["cpu_seconds"], request["file_bytes"])
    guard.alarms()
    watch = guard.Guard(request["scratch"], request["allow_effects"])
    watch.install()
    sys.path.insert(0, os.path.normpath(os.path.join(request["scratch"], request["import_root"])))
    os.chdir(request["scratch"])
    if request["mode"] == "search":
        from . import generate

        sys.dont_write_bytecode = True
        answer = generate.search(request, watch, began)
    elif request["mode"] == "judge":
        from . import judge

        sys.dont_write_bytecode = True
        answer = judge.run(request, watch)
    else:
        from . import fresh

        sys.dont_write_bytecode = True
        answer = fresh.run(request, watch)
    watch.active = False
    answer["version"] = "%d.%d.%d" % sys.version_info[:3]
    answer["held"] = held
    answer["outside"] = sorted(watch.outside)
    data = json.dumps(answer).encode("ascii")
    while data:
        data = data[os.write(out, data):]
    # Threads and exit handlers of the project are not waited for.
    os._exit(0)
