"""What the site needs beyond Jupyter Book: its colours, its fonts and formulas served by itself, its pictures.

_config.yml loads this package as a local Sphinx extension.
"""

import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
sys.path += [
    str(ROOT / "tools"),
    str(ROOT),
]  # tools/art.py draws the chapter map; benchmarks writes its tables

from unrolled_site import assets, chapter_map, library, pages, references  # noqa: E402


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect each part to the build."""
    for part in (assets, chapter_map, library, pages, references):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
