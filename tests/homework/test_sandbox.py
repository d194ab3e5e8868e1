"""What student code can see and do: no network, no files but Python's, no rights, and a limit on everything."""

import os
import selectors
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from classroom import NUMPY, QUICK, inside

from homework.grader import Name, bwrap, grade_cells, sandbox, seccomp, watch

pytestmark = pytest.mark.usefixtures("works")


def test_no_network():
    """Not even a socket can be made: a network namespace alone would leave vsock, which reaches the host."""
    code = """
import socket, os
seen = {}
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, getattr(socket, "AF_VSOCK", 40), socket.AF_NETLINK):
    try:
        socket.socket(family)
        seen[str(int(family))] = "made"
    except OSError as error:
        seen[str(int(family))] = error.strerror
links = [line.split(":")[0].strip() for line in open("/proc/net/dev").read().splitlines()[2:]]
"""
    assert set(inside([code], Name("seen")).values()) == {"Operation not permitted"}
    assert inside([code], Name("links")) == ["lo"]


def test_empty_home_and_a_clean_environment(monkeypatch):
    """The home is empty, and nothing of the grader's environment crosses: neither as variables nor through /proc."""
    monkeypatch.setenv("UNROLLED_CANARY", "canary-in-the-environment")
    code = """
import os, glob
home = os.listdir(os.path.expanduser("~"))
names = sorted(os.environ)
told = b""
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try: told += open(path, "rb").read()
    except OSError: pass
leaks = b"canary-in-the-environment" in told
"""
    home, names, leaks = inside([code], (Name("home"), Name("names"), Name("leaks")))
    assert home == []
    assert set(names) - {"LC_CTYPE", "PWD"} == set(bwrap.ENVIRONMENT)
    assert leaks is False


def test_only_its_own_processes_are_seen():
    """Process 1 is the sandbox's own."""
    code = "import os\npids = sorted(int(n) for n in os.listdir('/proc') if n.isdigit())"
    pids = inside([code], Name("pids"))
    assert pids[0] == 1
    assert len(pids) < 8


def test_the_system_is_read_only_and_the_rest_is_not_there(tmp_path):
    """Only /tmp, the home and /dev/shm can be written; nothing of this repository can be read but `inside`."""
    root = Path(__file__).resolve().parents[2]
    (tmp_path / "other.ipynb").write_text("somebody else's answers")
    code = f"""
import os, sys
def written(top):
    try:
        with open(top + "/x", "w") as file: file.write("x")
        return True
    except OSError:
        return False
tops = ["/", "/usr", "/usr/bin", "/box", "/stand-in", "/dev", "/proc", "/etc", "/run", sys.prefix]
tops += [os.path.dirname(np.__file__)]
open_to_all = [top for top in tops if written(top)]
here = [top for top in ("/tmp", "/dev/shm", os.path.expanduser("~")) if written(top)]
paths = [{str(root / "lib")!r}, {str(root / "homework")!r}, {str(tmp_path)!r}, {str(Path(__file__))!r}]
seen = [path for path in [*paths, "/sys", "/var", "/mnt", "/boot"] if os.path.exists(path)]
"""
    cells = ["import numpy as np", code]
    open_to_all, here, seen = inside(
        cells, (Name("open_to_all"), Name("here"), Name("seen")), hidden=[tmp_path]
    )
    assert open_to_all == []
    assert here == ["/tmp", "/dev/shm", "/home/student"]
    assert seen == []


def test_no_rights():
    """Neither root nor any capability, no way to new ones, and no access to this machine's settings."""
    code = """
import os
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
caps = [status[key] for key in ("CapInh", "CapPrm", "CapEff", "CapAmb")]
ids = [os.getuid(), os.geteuid(), os.getgid()]
closed = [status["NoNewPrivs"], status["Seccomp"]]
groups = os.getgroups()
def can_write(path):
    try:
        open(path, "r+").close()
        return True
    except OSError:
        return False
paths = ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger")
settings = [path for path in paths if can_write(path)]
"""
    names = ("caps", "ids", "closed", "settings")
    caps, ids, closed, settings = inside([code], tuple(map(Name, names)))
    assert all(int(cap, 16) == 0 for cap in caps)
    assert 0 not in ids
    assert closed == ["1", "2"]  # no new privileges; a filter is on
    assert settings == []


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("unshare", "0x10000000"),
        ("socketpair", "1, 1, 0, bytes(8)"),
        ("io_setup", "8, bytes(8)"),
        ("memfd_create", "b'x', 0"),
        ("ptrace", "16, 1, 0, 0"),
        ("shmget", "0, 4096, 0o1600"),
        ("io_uring_setup", "8, 0"),
        ("bpf", "0, 0, 0"),
        ("mount", "b'none', b'/tmp', b'tmpfs', 0, 0"),
        ("keyctl", "0, 0"),
        ("userfaultfd", "0"),
        ("sched_setaffinity", "0, 8, bytes(8)"),
        ("sync", ""),
        ("syncfs", "0"),
    ],
)
def test_the_filter_refuses(name, arguments):
    """System calls that no notebook needs end with 'operation not permitted'."""
    number = seccomp.SYSCALLS[name][seccomp.MACHINES[os.uname().machine][0]]
    code = f"""
import ctypes
gave = ctypes.CDLL(None, use_errno=True).syscall({", ".join(filter(None, (str(number), arguments)))})
error = ctypes.get_errno()
"""
    assert inside([code], (Name("gave"), Name("error"))) == (-1, 1)


def test_calls_newer_than_the_list_are_not_there():
    """What a later kernel brings is refused as unknown, and programs fall back on what they knew before."""
    code = """
import ctypes
libc, seen = ctypes.CDLL(None, use_errno=True), []
for number in (NEWEST + 1, 467, 511):
    libc.syscall(number, 0, 0, 0, 0, 0)
    seen.append(ctypes.get_errno())
"""
    assert inside([code.replace("NEWEST", str(seccomp.NEWEST))], Name("seen")) == [38, 38, 38]


def test_no_process_reads_or_writes_another_s_memory():
    """The one that asks is out of reach of the one that answers, as root and as anybody."""
    code = """
import os
child = os.fork()
if not child:
    try:
        open(f"/proc/{os.getppid()}/mem", "rb").close()
        os._exit(0)
    except OSError:
        os._exit(7)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
    assert inside([code], Name("code")) == 7


def test_no_new_namespaces_through_clone():
    """clone with a namespace's flag is refused, clone3 is said not to exist, and an ordinary fork works."""
    clone = seccomp.MACHINES[os.uname().machine][2]
    code = f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall({clone}, 0x10000000 | 17, 0, 0, 0, 0); user = ctypes.get_errno()
libc.syscall(435, 0, 0); three = ctypes.get_errno()
child = os.fork()
if not child: os._exit(7)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
    assert inside([code], (Name("user"), Name("three"), Name("code"))) == (1, 38, 7)


def test_the_filter_is_well_formed():
    """Every jump of the filter lands inside it, on each machine it knows; another architecture is killed."""
    for machine, (_, architecture, *_) in seccomp.MACHINES.items():
        code = seccomp.program(machine)
        lines = [struct.unpack("=HBBI", code[i : i + 8]) for i in range(0, len(code), 8)]
        assert all(
            at + 1 + max(yes, no) < len(lines) for at, (op, yes, no, _) in enumerate(lines) if op & 7 == 5
        )
        assert lines[1] == (seccomp.EQUAL, 1, 0, architecture)
        assert lines[2][3] == seccomp.KILL


def test_the_library_is_a_stand_in_unless_the_homework_shows_it():
    """`import unrolled` gives setup alone; with library=True it gives the library."""
    cells = ["import unrolled\nunrolled.setup()\nready = 1", "from unrolled.cells import rnn_step as answer"]
    cells += ["seen = ['ready' in globals(), 'answer' in globals()]"]
    assert inside(cells, Name("seen")) == [True, False]
    assert inside(cells, Name("seen"), library=True) == [True, True]


def test_a_hidden_folder_is_covered_where_a_shown_one_holds_it(tmp_path, monkeypatch):
    """Submissions that lie in a folder Python needs are covered."""
    (tmp_path / "python" / "submissions").mkdir(parents=True)
    (tmp_path / "python" / "submissions" / "other.ipynb").write_text("somebody else's answers")
    shown = bwrap.read_only()
    monkeypatch.setattr(bwrap, "read_only", lambda: [*shown, str(tmp_path / "python")])
    where = str(tmp_path / "python")
    code = f"import os\nseen = [os.listdir({where!r}), os.listdir({where + '/submissions'!r})]"
    hidden = [tmp_path / "python" / "submissions"]
    assert inside([code], Name("seen"), hidden=hidden) == [["submissions"], []]


def test_otter_and_magics_do_nothing():
    """Otter's cells, magics and shell lines are no obstacle."""
    cells = [
        "import otter\ngrader = otter.Notebook('hw01.ipynb')\ngrader.check('q1')\nchecked = True",
        "%matplotlib inline\n!pip install nothing\nfiles = !ls\nx = 1\nif x:\n    %time\n    y = 2",
        "%%time\nz = 3",
        "%%bash\nrm -rf /",
        "display(x)\nget_ipython().run_line_magic('pip', 'install nothing')",
    ]
    assert inside(cells, (Name("x"), Name("y"), Name("z"), Name("checked"))) == (1, 2, 3, True)


def test_what_was_sent_and_taken_back_does_not_hold_up_the_grader(monkeypatch):
    """A pipe may be empty again when it is read: a notebook can read its own, and the deadline holds all the same."""

    class Hasty(selectors.DefaultSelector):
        def select(self, timeout=None):
            return super().select(timeout) or [(key, 1) for key in self.get_map().values()]

    monkeypatch.setattr(sandbox.selectors, "DefaultSelector", Hasty)
    limits = replace(QUICK, cell=8, cells=8, total=1)
    outcome = grade_cells(replace(NUMPY, limits=limits), ["import time\ntime.sleep(9)"])
    assert "ran longer than the 1 s" in outcome.reason
    assert outcome.seconds < 5


def test_nothing_of_a_run_is_left_in_this_process():
    """No open file, no child, no thread remains, however a run ends."""

    def state() -> tuple[int, int, int]:
        return (
            len(os.listdir("/proc/self/fd")),
            len(os.listdir("/proc/self/task")),
            len(watch.below(os.getpid())),
        )

    inside(["x = 1"], Name("x"))
    before = state()
    inside(["x = 1"], Name("x"))
    inside(["import os\nif not os.fork():\n    os.setsid()\n    while True: pass"], 1)
    assert state() == before


def test_only_one_copy_of_a_cell_goes_on():
    """A cell that forks and lets both come back is gone on with once: the other copy ends."""
    count = """
import os, time
time.sleep(0.2)
pids = [name for name in os.listdir("/proc") if name.isdigit()]
states = [open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] for pid in pids]
count = len([state for state in states if state != "Z"])
"""
    both = [
        inside([cell, count], Name("count")) for cell in ("import os\nos.fork()", "import os\nx = id(os)")
    ]
    assert both[0] == both[1]


def test_a_run_keeps_to_its_core():
    """Pinned from outside, and only while it lasts: a fork bomb takes no time from what is graded on other cores."""
    cores = os.sched_getaffinity(0)
    code = "import os\ncores = sorted(os.sched_getaffinity(0))"
    assert inside([code], Name("cores"), core=max(cores)) == [max(cores)]
    assert os.sched_getaffinity(0) == cores


def test_the_list_of_fonts_is_there_and_its_folder_can_be_written(tmp_path):
    """matplotlib finds the list that was made once for all; making it takes longer than a cell may."""
    (tmp_path / "fontlist-v1.json").write_text("{}")
    code = "import os\ntop = os.environ['MPLCONFIGDIR']\nopen(top + '/x', 'w').close()\nseen = sorted(os.listdir(top))"
    assert inside([code], Name("seen"), fonts=tmp_path / "fontlist-v1.json") == ["fontlist-v1.json", "x"]


def test_processes_are_found_on_every_kernel(monkeypatch):
    """Without the kernel's lists of children the parents are read: the same processes are found."""
    code = "import os, time\nos.fork()\nos.write(1, b'1\\n')\ntime.sleep(60)"
    sleeper = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert sleeper.stdout
    try:
        assert [sleeper.stdout.readline() for _ in range(2)] == [b"1\n"] * 2
        found = watch.below(os.getpid())
        exists = os.path.exists
        monkeypatch.setattr(os.path, "exists", lambda path: "children" not in str(path) and exists(path))
        assert sorted(watch.below(os.getpid())) == sorted(found)
        assert len(watch.below(sleeper.pid)) == 2
    finally:
        for pid in reversed(watch.below(sleeper.pid)):
            os.kill(pid, 9)
        sleeper.wait()
        sleeper.stdout.close()


def test_killing_the_grader_kills_the_sandbox(tmp_path):
    """A grader that is killed outright leaves no process behind."""
    code = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[2])]!r}
from classroom import inside
print("ready", flush=True)
inside(["import time\\ntime.sleep(1000)"], 1)
"""
    grader = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert grader.stdout and grader.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 20
        while (
            len(below := [(pid, born(pid)) for pid in watch.below(grader.pid)]) < 5
            and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        assert len(below) >= 5
    finally:
        grader.kill()
        grader.wait()
        grader.stdout.close()
    deadline = time.monotonic() + 10
    while any(alive(one) for one in below) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [one for one in below if alive(one)]


def born(pid: int) -> str:
    """When a process started, so that its number taken by another is not mistaken for it; empty when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if stat[0] == "Z" else stat[19]


def alive(one: tuple[int, str]) -> bool:
    """Whether this very process is still there."""
    return bool(one[1]) and born(one[0]) == one[1]
