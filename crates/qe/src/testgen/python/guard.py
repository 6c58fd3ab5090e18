"""What keeps a case from doing harm: limits, and a hook that refuses effects.

The hook is a second net below the reading of the source: it knows what is really done.
"""

import os
import signal
import sys

try:
    import resource
except ImportError:  # pragma: no cover - only Unix is served
    resource = None


NATIVE_SECONDS = 0.25
# Files that are noted.
MOST_OUTSIDE = 2_000


class Refused(BaseException):
    """An effect that was not allowed."""


class TimeUp(BaseException):
    """One case ran longer than a case may."""


# Audit events that change something outside of the interpreter (Python's audit events table).
EFFECTS = {
    "os.chmod", "os.chown", "os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os.link", "os.mkdir",
    "os.posix_spawn", "os.putenv", "os.remove", "os.rename", "os.rmdir", "os.spawn", "os.startfile", "os.symlink",
    "os.system", "os.truncate", "os.unsetenv", "os.utime", "pty.spawn", "shutil.chown", "shutil.copyfile",
    "shutil.copytree", "shutil.move", "shutil.rmtree", "shutil.make_archive", "shutil.unpack_archive", "smtplib.connect",
    "socket.bind", "socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "sqlite3.connect",
    "subprocess.Popen", "tempfile.mkdtemp", "tempfile.mkstemp", "urllib.Request", "webbrowser.open", "ftplib.connect",
    "http.client.connect", "telnetlib.Telnet.open", "os.fwalk", "signal.pthread_kill", "builtins.input",
}
NETWORK = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request",
           "http.client.connect", "smtplib.connect", "ftplib.connect", "socket.bind")

ENVIRONMENT = {"os.putenv", "os.unsetenv"}
# What leaves the interpreter: nothing here could say what it may touch.
PROCESSES = {"os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os.posix_spawn", "os.spawn", "os.startfile", "os.system",
             "pty.spawn", "signal.pthread_kill", "subprocess.Popen", "webbrowser.open"}


class Guard:
    """`active` while project code runs."""

    def __init__(self, scratch, allow_effects):
        self.scratch = os.path.realpath(scratch) + os.sep
        self.allow = allow_effects
        self.active = False
        self.importing = False
        self.seen = None
        # Files outside of the copy that were read: what was found depends on them.
        self.outside = set()

    def install(self):
        if hasattr(sys, "addaudithook"):
            sys.addaudithook(self._hook)

    def _refuse(self, event):
        if self.importing:
            # Modules that find something out as they are imported are ready for a refusal.
            raise PermissionError("%s is not allowed here" % event)
        self.seen = event
        raise Refused(event)

    def _inside(self, path):
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        return isinstance(path, str) and os.path.realpath(path).startswith(self.scratch)

    def _hook(self, event, args):
        if not self.active:
            return
        if event == "open":
            path, mode, flags = args
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
            if writes and not ((self.allow or self.importing) and self._inside(path)) and path not in (os.devnull,):
                if isinstance(path, int) or (isinstance(path, str) and path.endswith(".pyc")):
                    return
                self._refuse("open for writing")
            if isinstance(path, str) and len(self.outside) < MOST_OUTSIDE and not path.startswith(self.scratch) and os.path.isabs(path):
                self.outside.add(path)
        elif event in EFFECTS:
            paths = [one for one in args if isinstance(one, (str, bytes))] if event.startswith(("os.", "shutil.")) else []
            inside = all(self._inside(path) for path in paths)
            if self.importing and event.startswith("os.") and event not in PROCESSES and paths and inside:
                return
            if event in NETWORK or event in PROCESSES or not self.allow or (paths and not inside and event not in ENVIRONMENT):
                self._refuse(event)


def limit(memory, seconds, file_bytes):
    """Of the whole process; what it starts inherits them."""
    if resource is None:
        return
    for what, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
    ):
        hard = resource.getrlimit(what)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        try:
            resource.setrlimit(what, (value, value))
        except (ValueError, OSError):
            pass


def _ring(*_):
    raise TimeUp()


def alarms():
    signal.signal(signal.SIGALRM, _ring)
    signal.signal(signal.SIGVTALRM, _ring)


def alarm(seconds):
    """Rings after so much time on the processor, so that a machine with much to do changes nothing, and again a moment later
    for who caught it. What waits instead of working is rung for by the clock, later. Zero: no more."""
    again = seconds and 0.05
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, again)
    signal.setitimer(signal.ITIMER_REAL, min(3 * seconds, seconds + 2), again)
    # A loop in native code runs no handler: after so much time on the processor the system ends the process.
    signal.setitimer(signal.ITIMER_PROF, seconds and seconds + NATIVE_SECONDS)
