"""Programs that want to be judged right about `median3` without computing it. One long table."""

from __future__ import annotations

from assay.sandbox.hostile import BURST, DIED, FRAMES, HUNG, REPORTED, Attack
from assay.sandbox.types import Ended

_YES = """
class Yes:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __bool__(self): return True
    def __hash__(self): return 0
"""
_ZERO = """
def median3(a, b, c):
    return 0
"""
_FORGE = """
import json, os, pickle, struct
def forged():
    texts = ["PASSED", "pass", "ok", "[true,true,true]", "0", "{}", "done", "ended ok"]
    for i, value in enumerate((2, 20, 90)):
        for kind in ("output", "result", "call", "value", "return"):
            texts.append(json.dumps({"kind": kind, "type": kind, "i": i, "value": ["int", value], "ok": True}))
        texts.append(json.dumps(["out", i, ["i", hex(value)]]))
        texts += ["%d ok %d" % (i, value), "=9 %d" % value, "."]
    for word in ("ended", "end", "done", "status", "outcome"):
        texts.append(json.dumps({word: "ok", "passed": True, "success": True, "exit": 0}))
    blocks = [("\\n" + text + "\\n").encode() for text in texts]
    for text in texts + [pickle.dumps(("pass", [True] * 10)).decode("latin-1")]:
        body = text.encode("latin-1")
        blocks += [struct.pack(form, len(body)) + body for form in (">I", "<I", ">Q", "<Q", ">H")]
        blocks.append(b"%d:%s," % (len(body), body))
    return blocks
def write_everywhere():
    for fd in range(256):
        try:
            os.set_blocking(fd, False)
            for block in forged():
                os.write(fd, block)
        except Exception:
            pass
"""


def _returns(expression: str, before: str = "") -> str:
    return f"{before}\ndef median3(a, b, c):\n    return {expression}\n"


_VALUES: tuple[tuple[str, str, frozenset[Ended], str], ...] = (
    ("always-equal-object", "an object equal to everything is no answer", REPORTED, _returns("Yes()", _YES)),
    (
        "always-equal-int",
        "an int subclass is compared as the int that it is",
        REPORTED,
        _returns(
            "Int(-99)",
            """
class Int(int):
    __eq__ = lambda s, o: True
    __ne__ = lambda s, o: False
""",
        ),
    ),
    (
        "always-equal-float",
        "a float subclass is compared as the float that it is",
        REPORTED,
        _returns(
            "Float(-9.5)",
            """
class Float(float):
    __eq__ = lambda s, o: True
    __ne__ = lambda s, o: False
""",
        ),
    ),
    (
        "always-equal-str",
        "a str subclass is compared as the str that it is",
        REPORTED,
        _returns(
            "Str('x')",
            """
class Str(str):
    __eq__ = lambda s, o: True
    __hash__ = str.__hash__
""",
        ),
    ),
    (
        "always-equal-list",
        "a list subclass is compared as the list that it is",
        REPORTED,
        _returns(
            "List([9])",
            """
class List(list):
    __eq__ = lambda s, o: True
    __ne__ = lambda s, o: False
""",
        ),
    ),
    (
        "truthy-comparison",
        "a comparison that returns an object instead of a bool decides nothing",
        REPORTED,
        _returns(
            "Sly()",
            """
class Sly:
    def __eq__(self, other): return 'no'
    __hash__ = None
""",
        ),
    ),
    ("mock-any", "unittest.mock.ANY is no answer", REPORTED, _returns("ANY", "from unittest.mock import ANY")),
    (
        "class-lies",
        "an object that claims int as its __class__ is not an int",
        REPORTED,
        _returns(
            "Liar()",
            _YES
            + """
class Liar(Yes):
    __class__ = int
    __int__ = __index__ = lambda s: 2
    def __instancecheck__(self, c): return True
""",
        ),
    ),
    (
        "metaclass-equal",
        "a class whose metaclass equals everything is no answer",
        REPORTED,
        _returns(
            "Any",
            """
class Meta(type):
    __eq__ = lambda s, o: True
    __ne__ = lambda s, o: False
    __hash__ = type.__hash__
    __instancecheck__ = __subclasscheck__ = lambda s, o: True
class Any(metaclass=Meta):
    pass
""",
        ),
    ),
    (
        "metaclass-hides-type",
        "an int whose type equals every type is still compared as an int",
        REPORTED,
        _returns(
            "Int(-7)",
            """
class Meta(type):
    __eq__ = lambda s, o: True
    __hash__ = lambda s: hash(int)
    mro = lambda s: [s, int, object]
class Int(int, metaclass=Meta):
    __eq__ = lambda s, o: True
    __hash__ = int.__hash__
""",
        ),
    ),
    (
        "class-property-hangs",
        "reading an output's __class__ can't hold up the judge",
        REPORTED | HUNG,
        _returns(
            "Tar()",
            _YES
            + """
class Tar(Yes):
    @property
    def __class__(self):
        while True: pass
""",
        ),
    ),
    (
        "getattribute-exits",
        "an output whose every attribute exits is no answer",
        REPORTED | DIED,
        _returns(
            "Trap()",
            _YES
            + """
import os
class Trap(Yes):
    def __getattribute__(self, name):
        os._exit(0)
"""
            + """
    __len__ = __iter__ = __repr__ = __str__ = __reduce_ex__ = lambda s, *a: os._exit(0)
""",
        ),
    ),
    (
        "int-with-lying-methods",
        "an int subclass is encoded without calling its methods",
        REPORTED,
        _returns(
            "Int(-3)",
            """
class Int(int):
    def _lie(self, *args): raise SystemExit(0)
    __index__ = __int__ = __str__ = __repr__ = __format__ = __hash__ = __bool__ = __eq__ = __ne__ = _lie
    bit_length = to_bytes = __abs__ = __neg__ = __lt__ = __gt__ = __hex__ = __reduce_ex__ = _lie
""",
        ),
    ),
    (
        "str-that-will-not-encode",
        "a str subclass is encoded without calling its methods",
        REPORTED,
        _returns(
            "Str('2')",
            """
class Str(str):
    def _lie(self, *args, **more): raise SystemExit(0)
    encode = __str__ = __repr__ = __len__ = __iter__ = __hash__ = __getitem__ = __format__ = _lie
    __eq__ = lambda s, o: True
""",
        ),
    ),
    (
        "list-that-never-ends",
        "a list subclass is encoded without its own iterator",
        REPORTED | HUNG,
        _returns(
            "List([1])",
            """
class List(list):
    def __iter__(self):
        while True:
            yield 0
    __len__ = lambda s: 2 ** 62
    __eq__ = lambda s, o: True
""",
        ),
    ),
    (
        "dict-with-lying-items",
        "a dict subclass is encoded without its own items",
        REPORTED | HUNG,
        _returns(
            "Dict(a=1)",
            """
class Dict(dict):
    def items(self):
        while True:
            yield 0, 0
    keys = values = __iter__ = items
    __len__ = lambda s: -1
    __eq__ = lambda s, o: True
""",
        ),
    ),
    ("not-a-number", "nan equals nothing", REPORTED, _returns("float('nan')")),
    (
        "nan-that-equals",
        "a nan with a kind comparison equals nothing",
        REPORTED,
        _returns(
            "Nan('nan')",
            """
class Nan(float):
    __eq__ = __le__ = __ge__ = lambda s, o: True
""",
        ),
    ),
    ("infinity", "infinity is within no tolerance", REPORTED, _returns("float('inf')")),
    (
        "generator-of-all-answers",
        "a generator is no answer",
        REPORTED,
        _returns("(value for value in (a, b, c))"),
    ),
    (
        "numpy-object-array",
        "an array of objects that equal everything is no answer",
        REPORTED,
        _returns("numpy.array([Yes()], dtype=object)", "import numpy" + _YES),
    ),
    (
        "numpy-broadcast",
        "an array that would broadcast equal is no answer",
        REPORTED,
        _returns("numpy.array([[a, b, c]]).T * numpy.ones((3, 4))", "import numpy"),
    ),
    (
        "numpy-empty",
        "an empty array, of which all is true, is no answer",
        REPORTED,
        _returns("numpy.zeros(0)", "import numpy"),
    ),
    (
        "numpy-subclass",
        "an ndarray subclass is compared as the array that it is",
        REPORTED,
        _returns(
            "numpy.zeros(1).view(Array)",
            """
import numpy
class Array(numpy.ndarray):
    __eq__ = lambda s, o: True
    __ne__ = lambda s, o: False
    __array_ufunc__ = lambda s, *a, **k: numpy.bool_(True)
    dtype = numpy.dtype('i8')
    shape = ()
""",
        ),
    ),
    (
        "numpy-huge-stride",
        "an array of one byte that says it has 2**60 elements comes to nothing",
        BURST,
        _returns("numpy.lib.stride_tricks.as_strided(numpy.zeros(1, 'b'), (2 ** 60,), (0,))", "import numpy"),
    ),
    (
        "reduce-exits",
        "no output is ever unpickled, so one that exits when loaded does nothing",
        REPORTED,
        _returns(
            "Load()",
            _YES
            + """
import os
class Load(Yes):
    __reduce__ = lambda s: (os._exit, (0,))
""",
        ),
    ),
    (
        "pickle-bomb",
        "no output is ever unpickled, so one that grows when loaded stays small",
        REPORTED,
        _returns(
            "Load()",
            _YES
            + """
class Load(Yes):
    __reduce__ = lambda s: (bytearray, (2 ** 36,))
""",
        ),
    ),
    (
        "zip-bomb",
        "bytes that unpack to 1 GB are not unpacked",
        REPORTED | HUNG,
        _returns(
            "BOMB",
            """
import zlib
pack = zlib.compressobj()
BOMB = b''.join(pack.compress(bytes(1 << 20)) for _ in range(1024))
BOMB += pack.flush()
""",
        ),
    ),
    ("gigabyte-text", "a return value of 1 GB is cut at the output limit", BURST, _returns("'x' * 10 ** 9")),
    ("gigabyte-list", "a list of 10**8 elements is cut at the output limit", BURST, _returns("[a] * 10 ** 8")),
    (
        "shared-list-bomb",
        "a list of a few hundred bytes that prints as 10**12 elements is cut at the output limit",
        BURST,
        _returns(
            "BOMB",
            """
BOMB = [0] * 10
for _ in range(11):
    BOMB = [BOMB] * 10
""",
        ),
    ),
    (
        "many-small-outputs",
        "a dictionary of a million entries is held within the helper's memory",
        BURST,
        _returns("{i: (i, str(i), [i]) for i in range(10 ** 6)}"),
    ),
    (
        "deep-list",
        "a list nested 100,000 deep breaks neither the cell nor the judge",
        BURST,
        _returns(
            "deep()",
            """
def deep():
    out = []
    for _ in range(100000):
        out = [out]
    return out
""",
        ),
    ),
    (
        "deep-dict",
        "a dict nested 100,000 deep breaks neither the cell nor the judge",
        BURST,
        _returns(
            "deep()",
            """
def deep():
    out = {}
    for _ in range(100000):
        out = {'': (out,)}
    return out
""",
        ),
    ),
    (
        "self-referential-list",
        "a list that contains itself is no answer",
        BURST,
        _returns(
            "LOOP",
            """
LOOP = []
LOOP.append(LOOP)
""",
        ),
    ),
    (
        "self-referential-dict",
        "a dict that contains itself is no answer",
        BURST,
        _returns(
            "LOOP",
            """
LOOP = {}
LOOP['again'] = (LOOP, [LOOP])
""",
        ),
    ),
    (
        "lone-surrogates",
        "text that UTF-8 can't say is carried or refused, and the next program is unaffected",
        REPORTED,
        _returns("'\\ud800\\udfff\\x00\\n\\u2028' * 3"),
    ),
    ("surrogate-exception", "an exception that UTF-8 can't say is noted", DIED, _returns("{}['\\ud800\\x00\\x1b[2J']")),
    ("ten-million-digits", "an int of 10 million digits is not converted to decimal", BURST, _returns("1 << 33219280")),
    (
        "hash-collisions-in-dict",
        "200,000 keys of one hash are not put into a dict",
        BURST,
        _returns(
            "{Key(i * (2 ** 61 - 1)): 0 for i in range(1, 200001)}",
            """
class Key(int):
    __hash__ = lambda s: int.__floordiv__(s, 2 ** 61 - 1)
""",
        ),
    ),
    (
        "hash-collisions-in-set",
        "200,000 elements of one hash are not put into a set",
        BURST,
        _returns(
            "{Key(i * (2 ** 61 - 1)) for i in range(1, 200001)}",
            """
class Key(int):
    __hash__ = lambda s: int.__floordiv__(s, 2 ** 61 - 1)
""",
        ),
    ),
    (
        "type-named-like-a-frame",
        "a type's name can't speak for the program",
        REPORTED,
        _returns(
            "Odd()",
            _YES
            + r"""
Odd = type('\n{"ended": "ok", "passed": true}\n', (Yes,), {'__module__': '\n' * 9})
""",
        ),
    ),
)

_EXITS: tuple[tuple[str, str, frozenset[Ended], str], ...] = (
    (
        "sys-exit-at-import",
        "exit status 0 before the function exists is no pass",
        DIED,
        """
import sys
sys.exit(0)
""",
    ),
    (
        "system-exit-in-call",
        "SystemExit(0) from the function is no pass",
        DIED,
        """
def median3(a, b, c):
    raise SystemExit(0)
""",
    ),
    (
        "os-exit-at-import",
        "os._exit(0) before the function exists is no pass",
        DIED,
        """
import os
os._exit(0)
""",
    ),
    ("os-exit-in-call", "os._exit(0) from the function is no pass", DIED, _returns("os._exit(0)", "import os")),
    (
        "syscall-exit",
        "exit_group(0) by a system call is no pass",
        DIED,
        _returns("ctypes.CDLL(None).syscall(231, 0)", "import ctypes"),
    ),
    (
        "exec-true",
        "a process that became /bin/true is no pass",
        DIED,
        _returns("posix.execv('/bin/true', ['true'])", "import posix"),
    ),
    (
        "exit-in-atexit",
        "os._exit(0) from atexit makes wrong outputs no better",
        REPORTED | DIED,
        """
import atexit, os
atexit.register(lambda: print('PASSED') or os._exit(0))
"""
        + _ZERO,
    ),
    (
        "exit-in-del",
        "exit in the __del__ of an output is no pass",
        REPORTED | DIED,
        _returns(
            "Last()",
            _YES
            + """
import os
class Last(Yes):
    def __del__(self):
        os._exit(0)
""",
        ),
    ),
    (
        "del-bombs",
        "a thousand outputs whose __del__ prints, raises and makes more are no pass",
        REPORTED | DIED | HUNG,
        _returns(
            "[Bomb(3) for _ in range(1000)]",
            """
class Bomb:
    def __init__(self, n): self.n = n
    def __del__(self):
        print('PASSED')
        if self.n: Bomb(self.n - 1)
        raise SystemExit(0)
""",
        ),
    ),
    (
        "gc-callback-exits",
        "a collector's callback that exits is no pass",
        REPORTED | DIED,
        """
import gc, os
gc.set_threshold(1)
gc.callbacks.append(lambda *args: os._exit(0))
"""
        + _ZERO,
    ),
    ("kills-itself", "death by signal is no pass", DIED, _returns("posix.kill(posix.getpid(), 9)", "import posix")),
    (
        "forks-twins",
        "two processes that both return are judged as one, which is wrong",
        BURST,
        _returns("posix.fork()", "import posix"),
    ),
    (
        "parent-exits-child-goes-on",
        "the child of a program that left can't answer for it",
        BURST,
        """
import posix
if posix.fork():
    posix._exit(0)
"""
        + _ZERO,
    ),
    (
        "main-thread-exits",
        "ending the main thread by system call ends in the clock, not in a pass",
        BURST,
        """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(3600,)).start()
"""
        + _returns("ctypes.CDLL(None).syscall(60, 0)"),
    ),
    (
        "no-entry-point",
        "a program without the function is wrong",
        DIED | REPORTED,
        """
median4 = None
""",
    ),
    (
        "entry-point-is-a-mask",
        "an entry point that equals everything and calls to itself is no answer",
        REPORTED,
        _YES
        + """
class Mask(Yes):
    def __call__(self, *args): return self
    def __getattr__(self, name): return self
    def __iter__(self): return iter([self] * 10)
    def __len__(self): return 10
median3 = Mask()
""",
    ),
    (
        "excepthook-exits",
        "an excepthook that prints PASSED and exits 0 is no pass",
        DIED,
        """
import os, sys, threading
def hook(*args):
    print('PASSED')
    os._exit(0)
sys.excepthook = sys.unraisablehook = threading.excepthook = hook
"""
        + _returns("1 / 0"),
    ),
    (
        "exception-str-raises",
        "an exception whose str raises is noted",
        DIED,
        """
class Bad(Exception):
    def __str__(self): raise SystemExit(0)
    __repr__ = __str__
def median3(a, b, c):
    raise Bad
""",
    ),
    (
        "exception-str-huge",
        "an exception whose str is 200 MB is noted in 500 characters",
        BURST,
        """
class Bad(Exception):
    def __str__(self): return 'passed' * (2 * 10 ** 8 // 6)
    __repr__ = __str__
def median3(a, b, c):
    raise Bad
""",
    ),
    (
        "exception-str-hangs",
        "an exception whose str never returns meets the clock",
        DIED | HUNG,
        """
class Bad(Exception):
    def __str__(self):
        while True: pass
    __repr__ = __str__
def median3(a, b, c):
    raise Bad
""",
    ),
    (
        "exception-with-metaclass",
        "a BaseException whose class lies about its name and its kin is noted",
        DIED,
        """
class Meta(type):
    __instancecheck__ = __subclasscheck__ = lambda s, o: True
    __name__ = property(lambda s: 1 / 0)
    __eq__ = lambda s, o: True
    __hash__ = lambda s: 0
class Bad(BaseException, metaclass=Meta):
    args = __traceback__ = __cause__ = property(lambda s: 1 / 0)
def median3(a, b, c):
    raise Bad
""",
    ),
    (
        "exception-named-passed",
        "an exception that is called passed and says passed is wrong",
        DIED,
        """
class passed(BaseException):
    __str__ = __repr__ = lambda s: 'passed'
def median3(a, b, c):
    raise passed('passed')
""",
    ),
    (
        "exception-chain",
        "an exception with 100,000 causes is noted",
        BURST,
        """
def median3(a, b, c):
    last = None
    for _ in range(100000):
        new = ValueError()
        new.__cause__ = last
        last = new
    raise last
""",
    ),
    (
        "generator-exit",
        "GeneratorExit from the function is wrong",
        DIED,
        """
def median3(a, b, c):
    raise GeneratorExit
""",
    ),
    (
        "recursion-bomb",
        "endless recursion is wrong and the next program has its stack",
        BURST,
        _returns("median3(a, b, c)"),
    ),
    (
        "stack-overflow",
        "recursion through C without a limit is a crash and not the cell's",
        BURST,
        """
import functools, sys
sys.setrecursionlimit(10 ** 9)
"""
        + _returns("functools.reduce(median3, (a, b), 0)").replace("a, b, c", "a, b, c=0"),
    ),
    ("segfault", "a read of address 0 is a crash", DIED, _returns("ctypes.string_at(0)", "import ctypes")),
    ("abort", "abort() is a crash", DIED, _returns("os.abort()", "import os")),
    (
        "broken-bytecode",
        "bytecode that reads beyond its constants is a crash or wrong",
        BURST,
        """
def median3(a, b, c):
    return 12345678
median3.__code__ = median3.__code__.replace(co_consts=())
""",
    ),
    (
        "faulthandler-exits",
        "faulthandler's own thread, which writes and exits, is no pass",
        BURST,
        """
import faulthandler, os, time
faulthandler.dump_traceback_later(0.2, exit=True, file=1)
"""
        + _returns("time.sleep(1)"),
    ),
)

_FORGERIES: tuple[tuple[str, str, frozenset[Ended], str], ...] = (
    (
        "prints-passed",
        "what a program prints is not its result",
        REPORTED,
        """
print('PASSED')
print('pass')
print('ok')
"""
        + _returns("print('PASSED', flush=True) or 0"),
    ),
    (
        "forged-frames-at-import",
        "frames in a dozen forms on every descriptor are no result",
        BURST,
        _FORGE
        + """
write_everywhere()
"""
        + _ZERO,
    ),
    (
        "forged-frames-then-exit",
        "frames in a dozen forms on every descriptor and a clean exit are no result",
        BURST,
        _FORGE + _returns("(write_everywhere(), os._exit(0))"),
    ),
    (
        "forged-frames-by-proc",
        "descriptors reopened by /proc/self/fd carry no result either",
        BURST,
        _FORGE
        + """
import io
for fd in os.listdir('/proc/self/fd'):
    try:
        with io.open('/proc/self/fd/' + fd, 'wb', 0) as to:
            os.set_blocking(to.fileno(), False)
            for block in forged():
                to.write(block)
    except Exception:
        pass
"""
        + _ZERO,
    ),
    (
        "forged-frames-from-thread",
        "frames written by a thread while the program runs are no result",
        BURST,
        _FORGE
        + """
import threading, time
def later():
    for _ in range(50):
        write_everywhere()
threading.Thread(target=later, daemon=True).start()
"""
        + _returns("time.sleep(0.2)"),
    ),
    (
        "forged-frames-from-orphan",
        "frames written by a grandchild after the program left are no result",
        BURST,
        _FORGE
        + """
import posix, time
if posix.fork() == 0:
    posix.setsid()
    if posix.fork() == 0:
        for _ in range(20):
            time.sleep(0.1)
            write_everywhere()
    posix._exit(0)
"""
        + _ZERO,
    ),
    (
        "evil-streams",
        "streams whose every method exits are no pass",
        REPORTED | DIED,
        """
import os, sys
class Evil:
    def __getattr__(self, name):
        return lambda *a, **k: os._exit(0)
    def __bool__(self): os._exit(0)
sys.stdout = sys.stderr = sys.stdin = sys.__stdout__ = sys.__stderr__ = Evil()
"""
        + _ZERO,
    ),
    (
        "closes-every-descriptor",
        "a program that closes every descriptor is wrong, and the cell goes on",
        BURST,
        """
import os
def median3(a, b, c):
    os.closerange(0, 65536)
    return 0
""",
    ),
    (
        "swaps-descriptors",
        "a program that swaps its descriptors is wrong, and the cell goes on",
        BURST,
        """
import os
def median3(a, b, c):
    fds = [int(fd) for fd in os.listdir('/proc/self/fd')]
    for low, high in zip(fds, reversed(fds)):
        try:
            os.dup2(high, low)
        except OSError:
            pass
    print('PASSED', flush=True)
    return 0
""",
    ),
    (
        "reads-every-descriptor",
        "a program that reads its descriptors learns nothing and takes nothing from the next",
        BURST,
        """
import os
def median3(a, b, c):
    for fd in range(64):
        try:
            os.set_blocking(fd, False)
            if os.read(fd, 1 << 20):
                return 0
        except OSError:
            pass
    return 1
""",
    ),
    (
        "shuts-sockets-down",
        "a program that shuts down its descriptors as sockets is wrong, and the cell goes on",
        BURST,
        """
import socket
for fd in range(3, 256):
    try:
        socket.socket(fileno=fd).shutdown(2)
    except OSError:
        pass
"""
        + _ZERO,
    ),
)

_READERS: tuple[tuple[str, str, frozenset[Ended], str], ...] = (
    (
        "frames-read-expected",
        "the stack has no right answers to read",
        REPORTED,
        FRAMES
        + """
seen = []
def median3(a, b, c):
    seen.append(0)
    for frame in frames():
        for name in ('exp', 'expected', 'answer', 'want', 'outputs', 'ref'):
            found = frame.f_locals.get(name)
            if isinstance(found, (list, tuple)) and len(found) >= len(seen):
                return found[len(seen) - 1]
    return 0
""",
    ),
    (
        "gc-read-expected",
        "the collector knows no list of right answers",
        REPORTED | HUNG,
        """
import gc
seen = []
def median3(a, b, c):
    seen.append((a, b, c))
    for found in gc.get_objects():
        if type(found) in (list, tuple) and len(found) == 10 and all(type(v) is int for v in found):
            if all(v in args for v, args in zip(found, seen)):
                return found[len(seen) - 1]
    return 0
""",
    ),
    (
        "bytecode-read-expected",
        "the caller's bytecode has no right answer after the call",
        REPORTED,
        """
import dis, sys
def median3(a, b, c):
    frame = sys._getframe(1)
    for step in dis.get_instructions(frame.f_code):
        if step.offset > frame.f_lasti and step.opname == 'LOAD_CONST':
            return step.argval
    return 0
""",
    ),
    (
        "source-read-expected",
        "no string within reach holds the checks",
        REPORTED | HUNG,
        FRAMES
        + r"""
import ast, re
def median3(a, b, c):
    call = r'\(\s*%d,\s*%d,\s*%d\s*\)\s*==\s*(-?\d+)' % (a, b, c)
    for frame in frames():
        for found in list(frame.f_locals.values()) + list(frame.f_globals.values()):
            texts = found.values() if isinstance(found, dict) else [found]
            for text in texts:
                hit = re.search(call, text) if isinstance(text, str) else None
                if hit:
                    return int(hit.group(1))
    return 0
""",
    ),
    (
        "thread-reads-the-stack",
        "another thread finds no verdict to set in the main thread's stack",
        BURST,
        """
import sys, threading, time
held = {}
def look():
    for _ in range(200):
        for frame in sys._current_frames().values():
            while frame:
                have = frame.f_locals
                if 'stat' in have and 'details' in have and 'progress' in have:
                    held.update(have)
                frame = frame.f_back
        if held:
            held['details'][:] = [True] * len(held['details'])
            held['progress'].value = len(held['details'])
            held['stat'].value = 0
        time.sleep(0.005)
threading.Thread(target=look).start()
"""
        + _returns("time.sleep(0.01)"),
    ),
    (
        "frames-rewrite-expected",
        "no list within reach of the stack decides what is right",
        REPORTED,
        FRAMES
        + _YES
        + """
def median3(a, b, c):
    for frame in frames():
        for name, found in list(frame.f_locals.items()):
            if name in ('expected', 'answers', 'outputs') and isinstance(found, list):
                found[:] = [Yes()] * len(found)
    return 0
""",
    ),
    (
        "frames-rewrite-inputs",
        "changed inputs do not change the answers",
        REPORTED,
        FRAMES
        + """
def median3(a, b, c):
    for frame in frames():
        for found in list(frame.f_locals.values()):
            if isinstance(found, list) and found and all(isinstance(v, (list, tuple)) and len(v) == 3 for v in found):
                found[:] = [[0, 0, 0]] * len(found)
    return 0
""",
    ),
    (
        "frames-set-shared-verdict",
        "no verdict in shared memory is within reach of the stack",
        BURST,
        FRAMES
        + """
import os
for frame in frames():
    have = frame.f_locals
    if 'stat' in have and 'details' in have:
        for i in range(len(have['details'])):
            have['details'][i] = True
        if 'progress' in have:
            have['progress'].value = len(have['details'])
        have['stat'].value = 0
os._exit(0)
""",
    ),
    (
        "frames-append-passed",
        "no list of results is within reach of the stack",
        BURST,
        FRAMES
        + """
import os
for frame in frames():
    for name in ('result', 'results', 'report', 'lines'):
        try:
            frame.f_locals[name].append('passed')
        except Exception:
            pass
os._exit(0)
""",
    ),
    (
        "gc-set-shared-verdict",
        "no shared verdict is within reach of the collector",
        BURST,
        """
import gc, os
for found in gc.get_objects():
    kind = type(found).__name__
    try:
        if kind == 'Synchronized':
            found.value = 10 if found.value == 0 else 0
        elif kind == 'SynchronizedArray':
            found[:] = [True] * len(found)
        elif kind == 'ListProxy':
            found.append('passed')
    except Exception:
        pass
os._exit(0)
""",
    ),
    (
        "trace-rewrites-locals",
        "a trace function in the caller's frames finds no verdict to set",
        BURST,
        FRAMES
        + """
def watch(frame, event, arg):
    have = frame.f_locals
    for name in ('exact_match', 'passed', 'equal', 'same', 'right', 'correct', 'ok'):
        if name in have:
            have[name] = True
    return watch
def median3(a, b, c):
    sys.settrace(lambda *args: None)
    for frame in frames():
        frame.f_trace = watch
    return 0
""",
    ),
    (
        "replaces-code-objects",
        "every function of the caller's modules may return True and the answer is still wrong",
        BURST,
        FRAMES
        + """
import types
def yes(*args, **more):
    return True
def median3(a, b, c):
    for frame in frames():
        for name, found in list(frame.f_globals.items()):
            if isinstance(found, types.FunctionType) and not found.__closure__ and found not in (yes, median3, frames):
                found.__code__ = yes.__code__
    return 0
""",
    ),
    (
        "reads-the-judges-files",
        "no file in the cell holds inputs with answers",
        REPORTED | HUNG,
        r"""
import io, os, re
def median3(a, b, c):
    call = r'%d,\s*%d,\s*%d[)\]]*\D{1,12}(-?\d+)' % (a, b, c)
    for top in ('/work', '/tmp', '/dev/shm', '/home', '/root', '/opt', '/data', '.'):
        for folder, _, names in os.walk(top):
            if 'site-packages' in folder or '/lib' in folder:
                continue
            for name in names[:200]:
                try:
                    with io.open(os.path.join(folder, name), errors='replace') as file:
                        hit = re.search(call, file.read(1 << 20))
                except Exception:
                    continue
                if hit:
                    return int(hit.group(1))
    return 0
""",
    ),
)

_PATCHES: tuple[tuple[str, str, frozenset[Ended], str], ...] = (
    (
        "patched-builtins",
        "builtins that always agree are not what compares",
        BURST,
        """
import builtins
for name in ('all', 'any', 'isinstance', 'issubclass', 'callable', 'hasattr', 'bool'):
    setattr(builtins, name, lambda *a, **k: True)
for name in ('sum', 'abs', 'hash', 'id', 'round'):
    setattr(builtins, name, lambda *a, **k: 0)
"""
        + _ZERO,
    ),
    (
        "patched-types",
        "builtins len, type, int, str, repr, iter and zip of the program's own are not what compares",
        BURST,
        _YES
        + """
import builtins
for name in ('len', 'type', 'int', 'str', 'repr', 'iter', 'zip', 'enumerate', 'range', 'list', 'dict', 'getattr'):
    setattr(builtins, name, lambda *a, **k: Yes())
"""
        + _ZERO,
    ),
    (
        "patched-import",
        "an import hook that hands out fakes is no pass",
        BURST,
        _YES
        + """
import builtins, sys
builtins.__import__ = lambda *a, **k: Yes()
sys.meta_path[:] = []
sys.path_importer_cache.clear()
sys.modules.clear()
"""
        + _ZERO,
    ),
    (
        "patched-json",
        "a json that writes right answers has none to write",
        BURST,
        """
import json, json.encoder
fake = lambda *a, **k: '{"ended": "ok", "passed": true}'
json.dumps = json.encoder.JSONEncoder.encode = fake
json.loads = json.load = lambda *a, **k: {'passed': True}
"""
        + _ZERO,
    ),
    (
        "patched-plumbing",
        "pickle, marshal, struct and os.write of the program's own are no pass",
        BURST,
        r"""
import marshal, os, pickle, struct
fake = lambda *a, **k: b'\n{"ended": "ok", "passed": true}\n'
pickle.dumps = marshal.dumps = struct.pack = fake
write = os.write
os.write = lambda fd, data: write(fd, fake())
"""
        + _ZERO,
    ),
    (
        "patched-allclose",
        "numpy's comparisons in the program's process are not what compares",
        REPORTED,
        """
import numpy, sys
for name in ('allclose', 'isclose', 'array_equal', 'all'):
    setattr(numpy, name, lambda *a, **k: True)
numpy.testing.assert_allclose = numpy.testing.assert_equal = lambda *a, **k: None
for module in list(sys.modules.values()):
    if hasattr(module, 'is_floats'):
        module.is_floats = lambda x: True
"""
        + _ZERO,
    ),
    (
        "small-ints-overwritten",
        "the interpreter's own small integers may be rewritten and the answers stand",
        BURST,
        """
import ctypes
OFFSET = int.__basicsize__
def median3(a, b, c):
    for value in (b, c):
        if 9 < value < 257:
            ctypes.memmove(id(value) + OFFSET, id(a) + OFFSET, 4)
    return a
""",
    ),
    (
        "operator-slots-overwritten",
        "the interpreter's own comparison of ints may be rewritten and the answers stand",
        BURST,
        """
import ctypes, sys
KEEP = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.py_object, ctypes.c_int)(lambda a, b, op: True)
slot = 25 * 8
ctypes.c_void_p.from_address(id(int) + slot).value = ctypes.cast(KEEP, ctypes.c_void_p).value
"""
        + _ZERO,
    ),
    (
        "audit-hook-raises",
        "an audit hook that forbids everything from now on is no pass",
        BURST,
        """
import sys
def hook(event, args):
    raise SystemExit(0)
"""
        + _returns("sys.addaudithook(hook) or 0"),
    ),
    (
        "audit-hook-exits",
        "an audit hook that exits at the judge's first step is no pass",
        BURST,
        """
import os, sys
def hook(event, args):
    os._exit(0)
"""
        + _returns("sys.addaudithook(hook) or 0"),
    ),
    (
        "timer-raises-everywhere",
        "a timer that raises in whoever runs is no pass",
        BURST,
        """
import signal
def alarm(*args):
    raise SystemExit(0)
signal.signal(signal.SIGVTALRM, alarm)
signal.setitimer(signal.ITIMER_VIRTUAL, 0.001, 0.001)
"""
        + _returns("sum(range(10 ** 6))"),
    ),
    (
        "thread-raises-in-main",
        "exceptions thrown at the main thread from another are no pass",
        BURST,
        """
import ctypes, threading, time
main = ctypes.c_ulong(threading.get_ident())
def throw():
    while True:
        time.sleep(0.002)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(main, ctypes.py_object(SystemExit))
threading.Thread(target=throw, daemon=True).start()
"""
        + _returns("time.sleep(0.1)"),
    ),
    (
        "endless-loop",
        "an endless loop meets the clock",
        HUNG,
        """
def median3(a, b, c):
    while True:
        pass
""",
    ),
    (
        "swallows-exceptions",
        "a loop that catches the alarm's exception meets the clock",
        HUNG,
        """
def median3(a, b, c):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
""",
    ),
    (
        "alarm-ignored",
        "a loop with every signal ignored meets the clock",
        HUNG,
        """
import signal
def median3(a, b, c):
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    while True:
        pass
""",
    ),
    (
        "alarm-blocked",
        "a loop with every signal blocked meets the clock",
        HUNG,
        """
import signal
def median3(a, b, c):
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    while True:
        pass
""",
    ),
    (
        "alarm-patched",
        "a setitimer of the program's own does not stop the clock",
        HUNG,
        """
import signal
signal.setitimer = signal.alarm = signal.signal = lambda *a, **k: None
def median3(a, b, c):
    while True:
        pass
""",
    ),
    (
        "c-loop",
        "a loop in C that sees no signal meets the clock",
        HUNG,
        _returns("sum(range(10 ** 13))"),
    ),
    (
        "bignum-loop",
        "one power that takes hours meets the clock",
        HUNG | frozenset({"memory", "exception"}),
        _returns("(3 ** 10 ** 7) ** 40"),
    ),
    (
        "regex-loop",
        "a regular expression that takes centuries meets the clock",
        HUNG,
        _returns("re.match('(a+)+$', 'a' * 60 + 'b')", "import re"),
    ),
    (
        "stopped-clocks",
        "a time module that stands still does not stop the clock",
        HUNG,
        """
import time
for name in ('time', 'monotonic', 'perf_counter', 'process_time', 'time_ns', 'monotonic_ns', 'perf_counter_ns'):
    setattr(time, name, lambda: 0)
time.sleep = lambda s: None
"""
        + _returns("[0 for _ in iter(int, 1)]"),
    ),
    (
        "sleeps",
        "a program that sleeps for an hour meets the wall clock",
        HUNG,
        _returns("time.sleep(3600)", "import time"),
    ),
    (
        "thread-left-running",
        "a thread left running does not keep the cell, nor make wrong outputs right",
        REPORTED | HUNG | DIED,
        """
import threading, time
threading.Thread(target=time.sleep, args=(3600,)).start()
"""
        + _ZERO,
    ),
    (
        "atexit-hangs",
        "an exit handler that never returns does not keep the cell",
        REPORTED | HUNG | DIED,
        """
import atexit, threading, time
atexit.register(time.sleep, 3600)
threading._register_atexit(time.sleep, 3600)
"""
        + _ZERO,
    ),
)

ATTACKS: tuple[Attack, ...] = tuple(
    Attack(kind="calls", name=name, claim=claim, ended=ended, code=code)
    for table in (_VALUES, _EXITS, _FORGERIES, _READERS, _PATCHES)
    for name, claim, ended, code in table
)
