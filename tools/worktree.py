"""The project as git would publish it: what is tracked or about to be, and nothing that is ignored."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A commit of our own, whatever the reader's git is set up to sign, sign off or check.
_SETTINGS = (
    "user.name=Unrolled",
    "user.email=unrolled@localhost",
    "commit.gpgsign=false",
    "core.hooksPath=/dev/null",
    "core.autocrlf=false",
    "init.defaultBranch=main",
)


def git(*arguments: str, cwd: Path = ROOT) -> str:
    """Run git and return what it printed.

    Raises:
        RuntimeError: git is missing or refused; the message holds its own.
    """
    try:
        done = subprocess.run(
            ["git", *(word for setting in _SETTINGS for word in ("-c", setting)), *arguments],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise RuntimeError("git: not found, expected it on the PATH") from error
    if done.returncode:
        raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def files(root: Path = ROOT) -> list[Path]:
    """Every file that is in git or could be added to it, relative to `root`."""
    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=root).split("\0")
    return [Path(name) for name in sorted(set(names)) if name and (root / name).is_file()]


def snapshot(dest: Path, root: Path = ROOT) -> Path:
    """A repository of its own at `dest` whose one commit is the project as it stands, changes included."""
    for name in files(root):
        target = dest / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target)
    git("init", "--quiet", cwd=dest)
    git("add", "--all", cwd=dest)
    git("commit", "--quiet", "--message", "snapshot", cwd=dest)
    return dest
