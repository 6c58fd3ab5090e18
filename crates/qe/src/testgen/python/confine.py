"""What the kernel holds this process and all that it starts to, whatever runs in it: Landlock for files and signals
(landlock(7)), a filter of system calls for processes and sockets (seccomp(2)). Neither can be undone.

Called through ctypes, as Python has neither. Where the kernel, the machine or the interpreter lacks one, that is said.
"""

import os
import struct
import sys

# prctl(2)
SET_NO_NEW_PRIVS, SET_SECCOMP, FILTER = 38, 22, 2
# landlock(7): the same numbers on all machines.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF, PATH_BENEATH, VERSION = 444, 445, 446, 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
# Removing and making of anything, by the version in which the kernel learnt it.
CHANGES = sum(1 << bit for bit in range(4, 13))
CHANGES_SINCE = ((2, 1 << 13), (3, 1 << 14))
TRUNCATE, OF_FILES = 1 << 14, EXECUTE | WRITE_FILE | READ_FILE | 1 << 14
TCP, TCP_SINCE = 3, 4
SCOPES, SCOPES_SINCE = 3, 6
# Where programs lie, and what they read to run: nothing of other processes, no keys, no disks.
SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt", "/nix", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat",
    "/proc/sys", "/sys/devices/system", "/sys/fs/cgroup", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
    "/etc/alternatives", "/etc/hosts", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/locale.alias", "/etc/localtime",
    "/etc/mime.types", "/etc/nsswitch.conf", "/etc/os-release", "/etc/passwd", "/etc/group", "/etc/ssl/certs", "/etc/timezone",
)

# Number of the machine (linux/audit.h), and of the calls that are refused.
MACHINES = {
    "x86_64": (0xC000003E, {
        "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "ptrace": 101, "socket": 41, "mount": 165, "umount2": 166,
        "unshare": 272, "setns": 308, "chroot": 161, "pivot_root": 155, "bpf": 321, "io_uring_setup": 425, "pidfd_open": 434,
        "process_vm_writev": 311, "perf_event_open": 298, "kexec_load": 246, "rt_sigqueueinfo": 129, "setsid": 112, "setpgid": 109,
    }, {"kill": 62, "tkill": 200, "tgkill": 234}, 56),
    "aarch64": (0xC00000B7, {
        "execve": 221, "execveat": 281, "ptrace": 117, "socket": 198, "mount": 40, "umount2": 39, "unshare": 97, "setns": 268,
        "chroot": 51, "pivot_root": 41, "bpf": 280, "io_uring_setup": 425, "pidfd_open": 434, "process_vm_writev": 271,
        "perf_event_open": 241, "kexec_load": 104, "rt_sigqueueinfo": 138, "setsid": 157, "setpgid": 154,
    }, {"kill": 129, "tkill": 130, "tgkill": 131}, 220),
}
CLONE3, CLONE_THREAD = 435, 0x10000
EPERM, ENOSYS = 1, 38
ALLOW, REFUSE = 0x7FFF0000, 0x00050000


def confined(writable, readable):
    """Confines this process: {"files": bool, "processes": bool}, what holds from now on."""
    try:
        import ctypes

        kernel = ctypes.CDLL(None, use_errno=True)
        if kernel.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            return {"files": False, "processes": False}
    except (ImportError, OSError, AttributeError):
        return {"files": False, "processes": False}
    return {"files": landlocked(ctypes, kernel, writable, readable), "processes": filtered(ctypes, kernel)}


def landlocked(ctypes, kernel, writable, readable):
    """Files: written below `writable` only, read there, below `readable` and where the system's programs lie. No TCP, and no
    signals to other processes, where the kernel knows how."""
    version = kernel.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION)
    if version < 1:
        return False
    changes = CHANGES | WRITE_FILE | sum(bit for since, bit in CHANGES_SINCE if version >= since)
    reads = EXECUTE | READ_FILE | READ_DIR
    attributes = struct.pack("QQQ", changes | reads, TCP if version >= TCP_SINCE else 0, SCOPES if version >= SCOPES_SINCE else 0)
    size = 24 if version >= SCOPES_SINCE else 16 if version >= TCP_SINCE else 8
    rules = kernel.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    if rules < 0:
        return False
    allowed = [(path, changes | reads) for path in writable] + [(os.devnull, WRITE_FILE | READ_FILE)]
    allowed += [(path, reads) for path in dict.fromkeys(list(SYSTEM) + list(readable))]
    try:
        for path, rights in allowed:
            try:
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                if not os.path.isdir(path):
                    rights &= OF_FILES if version >= 3 else OF_FILES & ~TRUNCATE
                rule = struct.pack("=Qi", rights, place)
                if kernel.syscall(ADD_RULE, rules, PATH_BENEATH, rule, 0) != 0:
                    return False
            finally:
                os.close(place)
        return kernel.syscall(RESTRICT_SELF, rules, 0) == 0
    finally:
        os.close(rules)


def program(machine, own):
    """A filter for seccomp(2), in the words of the Berkeley packet filter: no new processes or programs, no sockets but pairs,
    no signals to others. Threads are allowed."""
    audit, refused, signals, clone = MACHINES[machine]

    def step(code, value, yes=0, no=0):
        return struct.pack("HBBI", code, yes, no, value & 0xFFFFFFFF)

    load, equal, above, bits, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    steps = [
        step(load, 4), step(equal, audit, 1, 0), step(answer, REFUSE | EPERM), step(load, 0),
        # Another numbering of the same machine's calls (x32).
        step(above, 0x40000000, 0, 1), step(answer, REFUSE | EPERM),
        step(equal, CLONE3, 0, 1), step(answer, REFUSE | ENOSYS),
    ]
    for number in refused.values():
        steps += [step(equal, number, 0, 1), step(answer, REFUSE | EPERM)]
    # Of `clone` the flags are looked at, of signals the receiver.
    steps += [step(equal, clone, 0, 4), step(load, 16), step(bits, CLONE_THREAD, 1, 0), step(answer, REFUSE | EPERM), step(answer, ALLOW)]
    for number in signals.values():
        steps += [step(equal, number, 0, 4), step(load, 16), step(equal, own, 1, 0), step(answer, REFUSE | EPERM), step(answer, ALLOW)]
    return b"".join(steps + [step(answer, ALLOW)])


def filtered(ctypes, kernel):
    """Whether a filter of system calls holds now."""
    machine = os.uname().machine
    if machine not in MACHINES or sys.byteorder != "little" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    code = program(machine, os.getpid())
    kept = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("H6xP", len(code) // 8, ctypes.addressof(kept))
    return kernel.prctl(SET_SECCOMP, FILTER, head, 0, 0) == 0
