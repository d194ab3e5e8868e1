"""Point the book at another repository: links, badges, Colab buttons, set-up cells, the site's address.

    python -m tools.rehost https://github.com/you/fork
    python -m tools.rehost                                the clone's own origin

Changes every text file of the working tree that names the old repository; needs nothing but Python and git.
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

from tools import worktree

EXPECTED = "expected https://github.com/<account>/<repository>"
ACCOUNT = r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}"
NAME = r"[A-Za-z0-9._-]{1,100}?"
FORMS = (
    re.compile(rf"https://(?:[^@/]*@)?github\.com/(?P<account>{ACCOUNT})/(?P<name>{NAME})(?:\.git)?/?"),
    re.compile(rf"(?:ssh://)?git@github\.com[:/](?P<account>{ACCOUNT})/(?P<name>{NAME})(?:\.git)?/?"),
)
CONFIGURED = re.compile(r"^repository:\s*\n(?:[ \t]+.*\n)*?[ \t]+url:[ \t]*[\"']?([^\s\"'#]+)", re.M)


class Repository(NamedTuple):
    """A repository on GitHub."""

    account: str
    name: str

    @property
    def url(self) -> str:
        """Its address."""
        return f"https://github.com/{self.account}/{self.name}"

    @property
    def slug(self) -> str:
        """account/name, as badges and Colab write it."""
        return f"{self.account}/{self.name}"

    @property
    def pages(self) -> str:
        """Where GitHub Pages serves its site, without https:// and the last slash."""
        host = f"{self.account}.github.io"
        return host if self.name.lower() == host.lower() else f"{host}/{self.name}"


def parse(url: str, what: str = "REPO") -> Repository:
    """Read a repository's address, in the https or the ssh form.

    Raises:
        ValueError: anything else; the message says what came and what is expected.
    """
    for form in FORMS:
        if (match := form.fullmatch(url.strip())) and match["name"] not in {".", "..", ".git"}:
            return Repository(match["account"], match["name"])
    shown = re.sub(r"//[^@/]*@", "//", url)  # an address may hold a password
    raise ValueError(f"{what}: got {shown!r}, {EXPECTED}")


def configured(root: Path) -> Repository:
    """The repository that _config.yml names."""
    match = CONFIGURED.search((root / "_config.yml").read_text(encoding="utf-8"))
    if match is None:
        raise ValueError(f"_config.yml: found no repository.url, {EXPECTED}")
    return parse(match[1], "_config.yml, repository.url")


def replace(text: str, old: Repository, new: Repository) -> str:
    """`text` with every mention of the old repository, in whatever case, made one of the new."""
    # One pass, so that no rewrite sees the result of another; (?!…) spares you/fork-2 and you/fork.js.
    mention = re.compile(
        rf"(?<![\w.-])(?:(?P<slug>{re.escape(old.slug)})|{re.escape(old.pages)})(?![\w-]|\.(?!git\b)\w)",
        re.I,
    )
    return mention.sub(lambda m: new.slug if m["slug"] else new.pages, text)


def rehost(root: Path, new: Repository) -> list[Path]:
    """Rewrite the files under `root`; returns those that changed."""
    old = configured(root)
    changed = []
    for name in worktree.files(root):
        path = root / name
        raw = path.read_bytes()
        if b"\0" in raw:
            continue  # a picture or a font
        try:
            before = raw.decode("utf-8")
        except UnicodeDecodeError:
            continue
        after = replace(before, old, new)
        if after != before:
            beside = path.with_name(f".{path.name}.new")
            beside.write_bytes(after.encode("utf-8"))
            beside.chmod(path.stat().st_mode)
            beside.replace(path)
            changed.append(name)
    return changed


def main(arguments: list[str], root: Path = worktree.ROOT) -> int:
    """Run it, and print each file that changed."""
    try:
        if len(arguments) > 1:
            raise ValueError(f"REPO: got {len(arguments)} values, {EXPECTED}")
        if arguments:
            new = parse(arguments[0])
        else:
            new = parse(worktree.git("remote", "get-url", "origin", cwd=root), "origin")
        changed = rehost(root, new)
    except (ValueError, RuntimeError) as error:
        hint = "" if arguments else "\nName the repository: make rehost REPO=https://github.com/you/fork"
        print(f"{error}{hint}", file=sys.stderr)
        return 1
    for name in changed:
        print(f"  {name}")
    print(
        f"{len(changed)} files changed; the book now belongs to {new.url}, its site to https://{new.pages}/"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
