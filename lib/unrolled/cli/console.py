"""What the commands share: options that several take, and how results are told."""

import contextlib
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Annotated, Any, NoReturn

import torch
import typer

from unrolled.training import Recipe

DEFAULTS = Recipe()
# Bad usage of any kind; typer names only one of them, and brings its own click or takes the one installed.
_Usage: Any = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")


_MOST_THREADS = 1024


def _threads(number: int | None) -> int | None:
    if number is not None:
        if number > _MOST_THREADS:  # the system would end the process
            raise typer.BadParameter(f"expected at most {_MOST_THREADS}, got {number}")
        torch.set_num_threads(number)
    return number


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
DeviceOption = Annotated[
    str,
    typer.Option(
        help="cpu, cuda, cuda:1 or mps; auto takes the fastest there is.", rich_help_panel="Machine"
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        min=1, callback=_threads, help="On a CPU; torch chooses otherwise.", rich_help_panel="Machine"
    ),
]
ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A run's folder (its best model), a model's file, or the name of a model that comes with the library.",
    ),
]


def field(name: str, panel: str, text: str) -> Any:
    """An option for a field of the recipe; what is not given is left to the recipe file, or to the field's default."""
    default = getattr(DEFAULTS, name)
    shown = "none" if default is None else "no" if default is False else str(default)
    return typer.Option(help=text, rich_help_panel=panel, show_default=shown)


def tell(told: dict[str, Any], as_json: bool, text: str) -> None:
    """Print the one or the other; what the reader's terminal or pipe has no character for is escaped."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    shown = json.dumps(told) if as_json else text
    typer.echo(shown.encode(encoding, errors="backslashreplace").decode(encoding))


def units(score: dict[str, Any]) -> str:
    """A score in a line."""
    perplexity = "too large" if score["perplexity"] is None else f"{score['perplexity']:.3f}"
    return f"{score['nats']:.4f} nats, {score['bits']:.4f} bits, perplexity {perplexity}"


def short(value: Any) -> str:
    """A value in a line."""
    if isinstance(value, dict):
        return (
            units(value) if "nats" in value else ", ".join(f"{name} {each}" for name, each in value.items())
        )
    return repr(value) if isinstance(value, str) and not value.isprintable() else str(value)


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """Show a warning in a line of its own."""
    typer.echo(f"unrolled: warning: {message}", err=True)


@contextlib.contextmanager
def leaving(arguments: list[str]) -> Iterator[None]:
    """What a command raises is told in a line, and is its exit code; warnings are lines too."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            warnings.simplefilter("always", UserWarning)
            yield
    except _Usage as error:
        _leave(error.format_message(), error.exit_code, arguments)
    except (
        FileNotFoundError,
        FileExistsError,
        NotADirectoryError,
        PermissionError,
        IsADirectoryError,
    ) as error:
        _leave(str(error), 2, arguments)
    except (ValueError, TypeError) as error:
        if not re.match(r"[\w.]+: ", str(error)):  # a mistake of ours, not of the reader's
            raise
        _leave(str(error), 2, arguments)
    except (FloatingPointError, RuntimeError, OSError) as error:
        _leave(str(error), 1, arguments)


def _leave(message: str, code: int, arguments: list[str]) -> NoReturn:
    """Tell an error and leave with an exit code."""
    if "--json" in arguments and os.environ.get("RANK", "0") == "0":
        typer.echo(json.dumps({"error": message}))
    typer.echo(f"unrolled: {message}", err=True)
    sys.exit(code)
