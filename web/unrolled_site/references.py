"""Links such as `references.md#elman1990` and `library.md#unrolled.cells.RNNCell`, which MyST alone would not find."""

from docutils import nodes
from sphinx.application import Sphinx

PAGES = ("references", "library")


def add_anchors(app: Sphinx, doctree: nodes.document) -> None:
    """Tell MyST every id of the two pages: on its own it knows headings only."""
    docname = app.env.docname
    if docname.rsplit("/", 1)[-1] in PAGES:
        slugs = app.env.metadata[docname].setdefault("myst_slugs", {})
        for node in doctree.findall(lambda node: isinstance(node, nodes.Element)):
            for name in node.get("ids", []):
                slugs.setdefault(name, (node.line or 0, name, name))


def setup(app: Sphinx) -> None:
    """Connect to the build, after MyST has written its own."""
    app.connect("doctree-read", add_anchors, priority=900)
