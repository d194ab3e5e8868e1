"""Files served beside the pages: generated colours, stylesheet, fonts, MathJax, and nothing from another host."""

import importlib.util
import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

from unrolled.figures import COLOURS

WEB = Path(__file__).resolve().parents[1]
# The parts of the stylesheet, in web/styles/, each named after what it dresses; where two speak of one thing, the
# later wins.
STYLES = (
    "tokens", "frame", "prose", "code", "figures", "folds", "chapter-map", "landing", "library", "print",
)  # fmt: skip


def colours_css() -> str:
    """The book's colours as CSS variables, one set for each paper."""

    def block(selector: str, mode: str) -> str:
        lines = (f"  --unrolled-{name}: {getattr(colour, mode)};" for name, colour in COLOURS.items())
        return f"{selector} {{\n" + "\n".join(lines) + "\n}\n"

    return block(":root,\nhtml[data-theme=light]", "light") + block("html[data-theme=dark]", "dark")


def stylesheet() -> str:
    """The parts of the stylesheet as one file: a page then waits for one answer, not for ten."""
    return "\n".join((WEB / f"styles/{name}.css").read_text(encoding="utf-8") for name in STYLES)


def mathjax_source() -> Path:
    """Where the package sphinx-mathjax-offline keeps MathJax."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")  # hyphens: no import statement can name it
    if spec is None or not spec.submodule_search_locations:
        raise ExtensionError("MathJax is missing: pip install sphinx-mathjax-offline")
    return Path(spec.submodule_search_locations[0]) / "static" / "mathjax"


def copy_mathjax(target: Path) -> None:
    """Copy what a TeX page can ask for: 2 MB of the package's 24."""
    source = mathjax_source()
    (target / "input/tex").mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "tex-chtml.js", target / "tex-chtml.js")
    shutil.copytree(source / "output/chtml/fonts", target / "output/chtml/fonts", dirs_exist_ok=True)
    shutil.copytree(
        source / "input/tex/extensions",
        target / "input/tex/extensions",
        ignore=shutil.ignore_patterns("all-packages.js"),
        dirs_exist_ok=True,
    )


def write_assets(app: Sphinx) -> None:
    """Put the files in place before any page is written, so that Sphinx can add their checksums."""
    if app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    (static / "unrolled-colours.css").write_text(colours_css(), encoding="utf-8")
    (static / "unrolled.css").write_text(stylesheet(), encoding="utf-8")
    shutil.copy(WEB / "unrolled.js", static / "unrolled.js")
    shutil.copytree(WEB / "fonts", static / "fonts", dirs_exist_ok=True)
    copy_mathjax(static / "mathjax")


def own_templates(app: Sphinx, config: Config) -> None:
    """Let web/templates win over the theme's templates of the same name."""
    config.templates_path.insert(0, str(WEB / "templates"))


def forget_thebe(app: Sphinx) -> None:
    """Unplug sphinx-thebe, which Jupyter Book always loads: its script logs an error on every page."""
    for listeners in app.events.listeners.values():
        listeners[:] = [one for one in listeners if not one.handler.__module__.startswith("sphinx_thebe")]
    app.registry.css_files[:] = [one for one in app.registry.css_files if one[0] != "sphinx-thebe.css"]


def setup(app: Sphinx) -> None:
    """Connect to the build."""
    forget_thebe(app)
    app.connect("config-inited", own_templates, priority=900)
    app.connect("builder-inited", write_assets)
    app.add_css_file("unrolled-colours.css", priority=900)
    app.add_css_file("unrolled.css", priority=901)
    app.add_js_file("unrolled.js", type="module")
