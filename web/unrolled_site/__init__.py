"""What the site needs beyond Jupyter Book: its colours, its fonts and formulas served by itself, its pictures.

_config.yml loads this package as a local Sphinx extension.
"""

import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
# The root first: in tools/ another module is named homework. From there come the grader's limits and the benchmarks'
# tables, from tools/ the pictures.
sys.path += [str(ROOT), str(ROOT / "tools")]

from unrolled_site import assets, chapter_map, library, live, pages, references, teaching  # noqa: E402


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect each part to the build."""
    for part in (assets, chapter_map, library, live, pages, references, teaching):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
