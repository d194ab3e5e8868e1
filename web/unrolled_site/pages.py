"""What each page is given: the repository's address, the mark, and mends of the theme's HTML."""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import art

# The strip of colours on the notation page: the colour's name, its symbol, and what it stands for.
KEY = (
    ("input", "<i>x<sub>t</sub></i>", "input"),
    ("hidden", "<i>h<sub>t</sub></i>", "hidden state"),
    ("output", "<i>y<sub>t</sub></i>", "output"),
    ("cell", "<i>C<sub>t</sub></i>", "cell state"),
    ("input-gate", "<i>i<sub>t</sub></i>", "input gate"),
    ("forget-gate", "<i>f<sub>t</sub></i>", "forget gate"),
    ("candidate", "<i>C̃<sub>t</sub></i>", "candidate"),
    ("output-gate", "<i>o<sub>t</sub></i>", "output gate"),
    ("gradient", "<i>∂L</i>", "gradient"),
)


class ColourKey(SphinxDirective):
    """The directive `{colour-key}`: one swatch for each thing that has a colour."""

    def run(self) -> list[nodes.Node]:
        """Return one raw HTML node."""
        swatches = " ".join(
            f'<li style="--swatch: var(--unrolled-{name})"><span>{symbol}</span> {label}</li>'
            for name, symbol, label in KEY
        )
        return [nodes.raw("", f'<ul class="colour-key">{swatches}</ul>', format="html")]


def fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """Write the repository's address, which _config.yml holds, where a page names it."""
    url = app.config.html_theme_options["repository_url"].rstrip("/")
    for name, value in (("repository", url), ("repository_name", url.rsplit("/", 1)[-1])):
        source[0] = source[0].replace(f"{{{{ {name} }}}}", value)


def give_logo(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Hand the mark to the template of the sidebar."""
    context["unrolled_logo"] = art.logo()


def show_colab(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Show a lone launch button as itself, with its name, and not inside a menu of one entry."""
    for button in context.get("header_buttons", []):
        if button.get("label") == "launch-buttons" and len(button.get("buttons", [])) == 1:
            only = button["buttons"][0]
            button.clear()
            button.update(
                only, label="launch", text="Open in Colab", tooltip="Run this page on Colab", icon=None
            )


def write_front_door(app: Sphinx, exception: Exception | None) -> None:
    """Write index.html, which leads to the landing page at once."""
    if exception is None and app.builder.format == "html":
        target = f"{app.config.root_doc}.html"
        Path(app.outdir, "index.html").write_text(
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f"<title>{app.config.html_title}</title>\n"
            f'<meta http-equiv="refresh" content="0; url={target}">\n</head>\n'
            f'<body><main><h1>{app.config.html_title}</h1><p><a href="{target}">Open the book</a></p></main></body>\n'
            "</html>\n",
            encoding="utf-8",
        )


def setup(app: Sphinx) -> None:
    """Connect to the build."""
    app.add_directive("colour-key", ColourKey)
    app.connect("source-read", fill_in)
    app.connect("html-page-context", give_logo)
    app.connect("html-page-context", show_colab, priority=900)  # after the theme has made its buttons
    app.connect("build-finished", write_front_door, priority=900)
