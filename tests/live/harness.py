"""A page that holds a live figure alone, as the site would write it, opened from the disk or served."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tools"), str(ROOT / "web"), str(ROOT / "tests/site")]

from unrolled_site import assets, live  # noqa: E402


def missing(what: str) -> None:
    """Skip with the reason, except in CI, where what is missing is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} (CI=true)")
    pytest.skip(what)


def write_page(
    folder: Path, figure: str, start: dict[str, Any] | None = None, live_folder: Path = live.LIVE
) -> Path:
    """Write the page and everything it loads into `folder`; return its path."""
    static = folder / "_static"
    (static / "live").mkdir(parents=True, exist_ok=True)
    (static / "unrolled-colours.css").write_text(assets.colours_css(), encoding="utf-8")
    (static / "unrolled.css").write_text(assets.stylesheet(), encoding="utf-8")
    shutil.copy(live.LIVE / "live.css", static)
    shutil.copytree(ROOT / "web/fonts", static / "fonts", dirs_exist_ok=True)
    live.write_figure(static / "live", figure, live_folder)
    body = live.element(live.Place(figure, "", "", start or {}), "")
    page = folder / f"{figure}.html"
    page.write_text(
        '<!DOCTYPE html>\n<html lang="en" data-theme="light">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>A live figure</title>'
        '<script>document.documentElement.dataset.theme = localStorage.getItem("mode") ?? "light"</script>'
        + "".join(
            f'<link rel="stylesheet" href="_static/{name}.css">'
            for name in ("unrolled-colours", "unrolled", "live")
        )
        + "<style>*,*::before,*::after{box-sizing:border-box} body{margin:0;background:var(--unrolled-paper)}"
        "main{max-width:50.5rem;margin:auto;padding:1rem}</style></head>\n"
        f'<body><main class="bd-article"><h1>A live figure</h1>{body}</main></body></html>\n',
        encoding="utf-8",
    )
    return page
