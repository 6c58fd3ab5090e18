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


def answered(request, watch, began):
    if request["mode"] == "search":
        from . import generate

        return generate.search(request, watch, began)
    if request["mode"] == "judge":
        from . import judge

        return judge.run(request, watch)
    from . import fresh

    return fresh.run(request, watch)


def fault_of_ours(error, scratch):
    """What failed and where, if an exception that nobody caught was raised by the harness; None: by the project's code that the
    harness called, or by a limit."""
    from . import guard

    if isinstance(error, (MemoryError, RecursionError, guard.Refused, guard.TimeUp)):
        return None
    place, trace = None, error.__traceback__
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__"))
        if name.startswith(__package__ + "."):
            place = "%s:%d" % (name[len(__package__) + 1:], trace.tb_lineno)
        elif trace.tb_frame.f_code.co_filename.startswith(scratch):
            place = None
        trace = trace.tb_next
    return place and "%s: %s (%s)" % (type(error).__name__, str(error)[:300], place)


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
    sys.dont_write_bytecode = True
    try:
        answer = answered(request, watch, began)
    except BaseException as error:
        fault = fault_of_ours(error, scratch + os.sep)
        if fault is None:
            raise
        answer = {"fault": fault}
    watch.active = False
    answer["version"] = "%d.%d.%d" % sys.version_info[:3]
    answer["held"] = held
    answer["outside"] = sorted(watch.outside)
    data = json.dumps(answer).encode("ascii")
    while data:
        data = data[os.write(out, data):]
    # Threads and exit handlers of the project are not waited for.
    os._exit(0)
