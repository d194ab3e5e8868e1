"""Inside the sandbox: run one cell statement by statement, or its definitions alone."""

import ast
import builtins
import contextlib
import re
import sys
import types
from typing import Any

DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
QUIET = (
    ast.Constant,
    ast.Name,
    ast.Attribute,
    ast.Tuple,
    ast.List,
    ast.Dict,
    ast.UnaryOp,
    ast.BinOp,
    ast.Subscript,
)
QUIET_PARTS = (ast.expr_context, ast.operator, ast.unaryop, ast.Slice)
DEEPEST = 50_000  # calls inside one another
_MAGIC = re.compile(r"^([ \t]*)(?:[!%]|\w[\w, ]*=\s*[!%]).*$", re.MULTILINE)
_flags = [0]  # of `from __future__`: in a notebook they hold for the cells after it too
_compile, _exec, _parse = compile, exec, ast.parse


def fresh_namespace() -> dict[str, Any]:
    """A new `__main__` for the notebook, with what a notebook has without importing it."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.setrecursionlimit = _cap_recursion
    module.__dict__.update(__builtins__=builtins, display=lambda *_, **__: None, get_ipython=lambda: _Shell())
    return module.__dict__


def _cap_recursion(limit: int, set_limit: Any = sys.setrecursionlimit) -> None:
    """As `sys.setrecursionlimit`, but what recurses without end meets it, and not the memory or the clock first."""
    set_limit(min(limit, DEEPEST))


class _Shell:
    """An IPython shell that does nothing: magics are not what is graded."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def run_cell(source: str, number: int, namespace: dict[str, Any], defs_only: bool) -> dict[str, Any]:
    """Run a cell. After an error, or with `defs_only`, only imports, functions and classes are run.

    Returns:
        `{"error": None}`, or the first error in words.
    """
    first = None
    try:
        tree = parse(source, number)
    except BaseException as error:
        return {"error": in_words(error)}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            _flags[0] |= sum(_future(alias.name) for alias in node.names)
        if (defs_only or first) and not isinstance(node, DEFINITIONS):
            continue
        try:
            code = _compile(
                ast.Module([node], []), f"<cell {number}>", "exec", flags=_flags[0], dont_inherit=True
            )
            _exec(code, namespace)
        except BaseException as error:  # SystemExit and KeyboardInterrupt too
            first = first or in_words(error)
    return {"error": first}


def parse(source: str, number: int = 0) -> ast.Module:
    """The cell as Python; where it is none, with magics and shell lines made `pass`."""
    try:
        return _parse(source, f"<cell {number}>")
    except SyntaxError:
        with contextlib.suppress(SyntaxError):
            return _parse(_MAGIC.sub(r"\1pass", source), f"<cell {number}>")
        raise


def _future(name: str) -> int:
    import __future__

    return getattr(getattr(__future__, name, None), "compiler_flag", 0)


def in_words(error: BaseException) -> str:
    """The error's type, message and line in the cell, cut short. A hostile error is named by its type alone."""
    kind = str(type.__dict__["__name__"].__get__(type(error)))[:80]
    try:
        line, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename.startswith("<cell"):
                line = trace.tb_lineno
            trace = trace.tb_next
        if isinstance(error, SyntaxError):
            line = error.lineno
        where = f" (line {line})" if line else ""
        text = str(error)
        return f"{kind}: {str.__getitem__(text, slice(0, 300))}{where}" if type(text) is str else kind
    except BaseException:
        return kind


def runs_nothing(source: str, defs_only: bool) -> bool:
    """Whether the cell only imports and defines, so that it can neither hang nor die: it needs no fork."""
    try:
        return all(
            _quiet(node) for node in parse(source).body if not defs_only or isinstance(node, DEFINITIONS)
        )
    except BaseException:
        return True  # does not parse: nothing of it will run


def _quiet(node: ast.stmt) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Pass():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            signature = [node.args, *([node.returns] if node.returns else [])]
            return not node.decorator_list and all(_still(part) for part in signature)
        case ast.ClassDef():
            parents = [*node.bases, *node.keywords]
            return not node.decorator_list and all(map(_still, parents)) and all(map(_quiet, node.body))
        case ast.Assign() | ast.AnnAssign():
            return all(_still(part) for part in ast.iter_child_nodes(node))
    return False


def _still(part: ast.AST) -> bool:
    """Whether evaluating this calls nothing that a beginner's cell could hang in, and makes nothing large."""
    kinds = (*QUIET, *QUIET_PARTS, ast.arguments, ast.arg, ast.keyword)
    nodes = list(ast.walk(part))
    return all(
        isinstance(n, kinds) and not (isinstance(n, ast.BinOp) and not isinstance(n.op, ast.BitOr))
        for n in nodes
    )
