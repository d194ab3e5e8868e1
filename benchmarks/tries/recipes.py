"""What was tried on the way to a recipe: one run a line, also those that led nowhere.

    python -m benchmarks.tries.recipes --text tinyshakespeare.txt hidden_size=384 learning_rate=0.005
    python -m benchmarks.tries.recipes --table

A try changes fields of `Recipe`, or with `--gpt` of `benchmarks.sweeps.transformer.Setting`, and is scored as
`benchmarks.sweeps.quality` scores: on the last 10 % of tiny Shakespeare, whole. Its seconds are those of its updates,
on a machine that may have had other work, so they are an upper bound; what counts is timed by
`benchmarks.sweeps.quality`.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks import record
from benchmarks.sweeps import quality, transformer
from unrolled.data import corpora
from unrolled.training import Recipe

LOG = Path(__file__).with_name("recipes.json")


def changes(fields: list[str], kind: type) -> dict[str, Any]:
    """`name=value` as keyword arguments; values are read as JSON, and as they stand where they are none."""
    known = {field.name for field in dataclasses.fields(kind)}
    found = {}
    for each in fields:
        name, equals, value = each.partition("=")
        if not equals or name not in known:
            raise SystemExit(
                f"expected name=value with a name among {', '.join(sorted(known))}, got {each!r}"
            )
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def log() -> list[dict[str, Any]]:
    """Every try so far, the oldest first."""
    return json.loads(LOG.read_text(encoding="utf-8")) if LOG.is_file() else []


def add(row: dict[str, Any]) -> None:
    """Put a try at the end of the log, one a line; written beside and renamed."""
    rows = ",\n".join(json.dumps(each) for each in [*log(), row])
    beside = LOG.with_suffix(".part")
    beside.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    beside.replace(LOG)


def table() -> str:
    """The log as a table: what differs from the defaults, and what it gave."""
    columns = ("carried", "windows", "own_windows")
    lines = ["| carried | windows of 256 | own windows | seconds | seed | changed |", "|" + " --- |" * 6]
    for row in log():
        told = ", ".join(f"{name} {value}" for name, value in row["changed"].items())
        scores = [f"{row[key]:.3f}" if row.get(key) else "" for key in columns]
        lines.append(
            f"| {' | '.join(scores)} | {row['seconds']:.0f} | {row['seed']} | {row['model']}: {told} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Make one try, or print what the log holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fields", nargs="*", help="name=value")
    parser.add_argument("--text", help="tiny Shakespeare as a local file; downloaded if not given")
    parser.add_argument("--gpt", action="store_true", help="a transformer, not a recurrent model")
    parser.add_argument("--threads", type=int, default=quality.THREADS)
    parser.add_argument("--table", action="store_true", help="print the log and end")
    given = parser.parse_args(arguments)
    if given.table:
        print(table())
        return
    torch.set_num_threads(given.threads)
    corpus = corpora.shakespeare(given.text, corpora.SHAKESPEARE_SHA256)
    text = corpus.validation + corpus.test
    if given.gpt:
        changed = changes(given.fields, transformer.Setting)
        setting = transformer.Setting(**changed)
        seed, found = setting.seed, quality.of_transformer(setting, corpus, text)
    else:
        changed = changes(given.fields, Recipe)
        recipe = Recipe(**{**quality.SHORT, **changed})
        seed, found = recipe.seed, quality.of_recurrent(recipe, text, given.text)
    where = record.circumstances("python -m benchmarks.tries.recipes")
    add(
        {
            "model": "GPT" if given.gpt else changed.get("cell", "lstm").upper(),
            "changed": {name: value for name, value in changed.items() if name != "seed"},
            "seed": seed,
            "threads": given.threads,
            **found,
            **{key: where[key] for key in ("date", "processor")},
        }
    )
    print(table().splitlines()[-1])


if __name__ == "__main__":
    main()
