"""Which interpreter this is, and the harness compiled for it: the path, a line break, the code."""

import json
import marshal
import os
import sys
from importlib.util import MAGIC_NUMBER

if sys.version_info < (3, 8):
    sys.exit("Python 3.8 or later is needed, and this is %d.%d" % sys.version_info[:2])
sources = json.loads(sys.stdin.buffer.read().decode("utf-8"))
codes = {name: compile(text, "<%s>" % name, "exec", dont_inherit=True) for name, text in sources.items()}
sys.stdout.buffer.write(os.fsencode(sys.executable) + b"\n" + MAGIC_NUMBER + marshal.dumps(codes))
