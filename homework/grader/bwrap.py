"""How bubblewrap is called: what the sandbox sees of this machine, and whether it works here at all."""

import functools
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from homework.grader import seccomp

HERE = Path(__file__).resolve().parent
BOX, HOME = "/box", "/home/student"
WRITABLE = ["/dev/shm", "/tmp", HOME]
NOBODY = 0x7000_0000  # a grader run as root gives its rights up for a user id from here on, which nobody has

WAYS = """Ways to grade safely:
  Debian, Ubuntu: sudo apt install bubblewrap        Fedora: sudo dnf install bubblewrap
  Windows:        WSL 2 (wsl --install), then as on Ubuntu
  macOS:          a Linux virtual machine (Lima, UTM, Multipass), then as on Ubuntu
  a container:    run it with --privileged, or grade on its host
Nothing is graded without the sandbox."""

APPARMOR = """Ubuntu's AppArmor keeps bubblewrap from making a user namespace. Allow it for bubblewrap alone:
  sudo tee /etc/apparmor.d/bwrap >/dev/null <<'PROFILE'
  abi <abi/4.0>,
  include <tunables/global>
  profile bwrap /usr/bin/bwrap flags=(unconfined) {
    userns,
    include if exists <local/bwrap>
  }
  PROFILE
  sudo systemctl reload apparmor"""

ENVIRONMENT = {
    "HOME": HOME,
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "MPLBACKEND": "agg",
    "MPLCONFIGDIR": f"{HOME}/.matplotlib",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "UNROLLED_GRADING": "1",
    "UNROLLED_PROGRESS": "0",
}


class Unusable(Exception):
    """The sandbox does not work here; the message says why and names the ways out."""


def read_only() -> list[str]:
    """The folders Python needs: the system's, this interpreter's and its packages'."""
    wanted = ["/usr", sys.base_prefix, os.path.realpath(sys.base_prefix)]
    wanted += [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    wanted += [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    kept: list[str] = []
    for path in dict.fromkeys(os.path.abspath(path) for path in wanted):
        if os.path.isdir(path) and not any(Path(path).is_relative_to(one) for one in kept):
            kept.append(path)
    return kept


def packages() -> list[str]:
    """Where the sandbox's Python finds numpy, torch and the rest."""
    dirs = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    dirs += [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    return [path for path in dict.fromkeys(dirs) if os.path.isdir(path)]


def arguments(library: bool, disk_mb: int, hidden: Iterable[Path], fonts: Path | None = None) -> list[str]:
    """Everything after `bwrap`, without the program to run.

    Args:
        library: show the real `unrolled`; else its stand-in.
        disk_mb: size of each place that can be written to; all of them are in memory.
        hidden: folders to cover where one of them lies in a folder that is shown.
        fonts: matplotlib's list of fonts, which takes it seconds to make.
    """
    args = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    args += ["--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox", "--cap-drop", "ALL"]
    if os.geteuid() == 0:  # no user namespace needed: the program inside gives up root (child.lock_down)
        args += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        args += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
    for key, value in ENVIRONMENT.items():
        args += ["--setenv", key, value]
    args += ["--proc", "/proc", "--dev", "/dev"]
    args += ["--ro-bind", "/dev/null", "/dev/zero"]  # mapped shared, it is memory that no limit counts
    for path in WRITABLE:
        args += ["--perms", "1777", "--size", str(disk_mb << 20), "--tmpfs", path]
    shown = read_only()  # after these: it may lie in one of them
    for path in shown:
        for above in reversed(Path(path).parents[:-1]):  # else they are the first user's alone
            args += ["--perms", "0755", "--dir", str(above)]
        args += ["--ro-bind", path, path]
    for path in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if os.path.islink(path):
            args += ["--symlink", os.readlink(path), path]
        else:
            args += ["--ro-bind-try", path, path]
    for path in ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"):
        args += ["--ro-bind-try", path, path]
    if fonts:
        args += [
            "--perms",
            "1777",
            "--dir",
            f"{HOME}/.matplotlib",
            "--ro-bind",
            str(fonts),
            f"{HOME}/.matplotlib/{fonts.name}",
        ]
    library_spec = importlib.util.find_spec("unrolled")
    assert library_spec and library_spec.origin
    real = Path(library_spec.origin).resolve().parent
    cover = [real, Path(__file__).resolve().parents[1], *(Path(path).resolve() for path in hidden)]
    for covered in cover:
        if any(covered.is_relative_to(one) for one in shown):
            args += ["--tmpfs", str(covered), "--remount-ro", str(covered)]
    args += ["--ro-bind", str(HERE / "inside"), BOX, "--perms", "0755", "--dir", "/stand-in"]
    args += ["--ro-bind", str(HERE / "stand_in" / "otter"), "/stand-in/otter"]
    args += ["--ro-bind", str(real if library else HERE / "stand_in" / "unrolled"), "/stand-in/unrolled"]
    args += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", HOME]
    return args


def python() -> list[str]:
    """The program inside. It takes no path, no setting and no start-up file from anywhere but its command line."""
    paths = f"sys.path[:0] = [{BOX!r}, '/stand-in']; sys.path += {packages()!r}"
    start = f"import sys; {paths}; import child; child.main()"
    return [os.path.realpath(sys.executable), "-I", "-S", "-B", "-X", "utf8", "-c", start]


@functools.cache
def font_list(cache: Path) -> Path | None:
    """Have matplotlib list this machine's fonts once, into `cache`; None where it cannot."""
    env = {**os.environ, "MPLCONFIGDIR": str(cache), "MPLBACKEND": "agg"}
    code = "import matplotlib.font_manager"
    subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=120, check=False)
    return next(iter(sorted(cache.glob("fontlist-*.json"))), None)


def find() -> str:
    """The path of a bubblewrap that has what we need, or Unusable."""
    system = platform.system()
    if system != "Linux":
        raise Unusable(f"The grader's sandbox needs Linux; this is {system or 'an unknown system'}.\n{WAYS}")
    found = shutil.which("bwrap")
    if not found:
        raise Unusable(f"bubblewrap is missing: found no 'bwrap'.\n{WAYS}")
    if platform.machine() not in seccomp.MACHINES:
        raise Unusable(
            f"The sandbox knows the system calls of {', '.join(seccomp.MACHINES)}; this is {platform.machine()}."
        )
    told = subprocess.run([found, "--help"], capture_output=True, text=True, check=False)
    if "--size" not in told.stdout + told.stderr:
        version = subprocess.run(
            [found, "--version"], capture_output=True, text=True, check=False
        ).stdout.strip()
        raise Unusable(
            f"{version or 'This bubblewrap'} is too old: expected 0.8 or later, which can limit a file system's size."
        )
    return found


def why_not(told: str) -> Unusable:
    """What bubblewrap said when it failed, as a reason and the ways out."""
    told = told.strip()[-600:] or "it ended without a word"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1" and os.geteuid():
        return Unusable(f"bubblewrap is installed but unusable: {told}\n{APPARMOR}")
    for name, off in (("kernel/unprivileged_userns_clone", "0"), ("user/max_user_namespaces", "0")):
        if _setting(name) == off and os.geteuid():
            key = name.replace("/", ".")
            value = "1" if off == "0" and name.startswith("kernel") else "10000"
            return Unusable(
                f"bubblewrap is installed but unusable: {told}\nUser namespaces are switched off ({key} = {off}). "
                f"Switch them on: sudo sysctl -w {key}={value}"
            )
    where = " This seems to be a container." if os.path.exists("/.dockerenv") else ""
    return Unusable(f"bubblewrap is installed but unusable: {told}.{where}\n{WAYS}")


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""


@functools.cache
def find_once() -> str:
    """`find`, asked once a run."""
    return find()
