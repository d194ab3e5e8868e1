"""The command line: `unrolled train`, `sample`, `evaluate` and `info`.

Exit codes: 0 all is well; 1 a run or a file failed (a loss that is not a number, a damaged checkpoint, no network);
2 bad usage; 130 stopped with Ctrl-C. With `--json` one JSON object stands on the standard output, also of an error:
`{"error": …}`.
"""

import sys
from importlib.metadata import version
from typing import Annotated, Any

import torch
import typer

from unrolled.cli.console import (
    DEFAULTS,
    DeviceOption,
    JsonOption,
    ModelArgument,
    ThreadsOption,
    field,
    leaving,
    short,
    tell,
    units,
)
from unrolled.device import training_device
from unrolled.models import generate, load, read_model
from unrolled.networks import BACKENDS
from unrolled.training import (
    CORPORA,
    PRECISIONS,
    SCHEDULES,
    WINDOW,
    Recipe,
    in_units,
    losses_on,
    open_corpus,
    read_recipe,
    run,
    stored_recipe,
)
from unrolled.training.recipes import fingerprint

SPLITS = ("train", "validation", "test", "held-out")

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train recurrent character models, sample from them, score them and look at them. "
    "Exit codes: 0 all is well, 1 a run or a file failed, 2 bad usage.",
    epilog="First steps: unrolled train runs/names --updates 500, then unrolled sample runs/names",
)


@app.callback(invoke_without_command=True)
def _start(shown: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if shown:
        typer.echo(f"unrolled {version('unrolled')}, torch {torch.__version__}")
        raise typer.Exit


@app.command(epilog="On several processes: torchrun --nproc-per-node 2 -m unrolled train FOLDER …")
def train(
    folder: Annotated[
        str, typer.Argument(help="Where checkpoints, the best model and result.json are written.")
    ],
    recipe: Annotated[
        str | None, typer.Option(help="A JSON file of fields, or another run's result.json.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the folder's newest whole checkpoint.")
    ] = False,
    corpus: Annotated[str | None, field("corpus", "Text", f"{', '.join(CORPORA)}, or a text file.")] = None,
    cell: Annotated[str | None, field("cell", "Model", "rnn, lstm or gru.")] = None,
    hidden_size: Annotated[int | None, field("hidden_size", "Model", "Numbers in a state.")] = None,
    embedding_size: Annotated[
        int | None,
        field("embedding_size", "Model", "Numbers in a character's vector; 0 reads one-hot vectors."),
    ] = None,
    num_layers: Annotated[int | None, field("num_layers", "Model", "Layers.")] = None,
    dropout: Annotated[
        float | None, field("dropout", "Model", "Share of numbers set to zero while training.")
    ] = None,
    tied: Annotated[
        bool | None, field("tied", "Model", "One matrix to read and to write with; sizes must agree.")
    ] = None,
    updates: Annotated[
        int | None, field("updates", "Training", "How many times the weights are changed.")
    ] = None,
    batch_size: Annotated[int | None, field("batch_size", "Training", "Rows read side by side.")] = None,
    num_steps: Annotated[
        int | None, field("num_steps", "Training", "Characters a gradient reaches back.")
    ] = None,
    shifted: Annotated[
        bool | None, field("shifted", "Training", "Begin each later reading of the text at another place.")
    ] = None,
    restarts: Annotated[
        float | None, field("restarts", "Training", "Share of rows that go on from zeros.")
    ] = None,
    learning_rate: Annotated[
        float | None, field("learning_rate", "Training", "The largest step size.")
    ] = None,
    warmup: Annotated[int | None, field("warmup", "Training", "Updates until it is reached.")] = None,
    schedule: Annotated[str | None, field("schedule", "Training", f"{', '.join(SCHEDULES)}.")] = None,
    floor: Annotated[
        float | None, field("floor", "Training", "The last step size, as a share of the largest.")
    ] = None,
    weight_decay: Annotated[float | None, field("weight_decay", "Training", "AdamW's, of matrices.")] = None,
    beta_2: Annotated[
        float | None, field("beta_2", "Training", "AdamW's memory for squared gradients.")
    ] = None,
    clip_norm: Annotated[
        float | None, field("clip_norm", "Training", "The largest norm of a gradient; 0 does not clip.")
    ] = None,
    average: Annotated[
        float | None, field("average", "Training", "Moving average of the weights; 0 for none.")
    ] = None,
    precision: Annotated[str | None, field("precision", "Training", f"{', '.join(PRECISIONS)}.")] = None,
    backend: Annotated[str | None, field("backend", "Training", f"{', '.join(BACKENDS)}.")] = None,
    seed: Annotated[int | None, field("seed", "Training", "Of initial weights and dropout.")] = None,
    evaluate_every: Annotated[
        int | None, field("evaluate_every", "Saving", "Updates between evaluations.")
    ] = None,
    patience: Annotated[
        int | None,
        field("patience", "Saving", "Evaluations without a better one before it stops; 0 never stops."),
    ] = None,
    checkpoint_every: Annotated[
        int | None, field("checkpoint_every", "Saving", "Updates between checkpoints.")
    ] = None,
    keep: Annotated[int | None, field("keep", "Saving", "Checkpoints that stay.")] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress bar.", rich_help_panel="Machine")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a character model by truncated backpropagation through time.

    Text is read in rows, each chunk going on from the state of the chunk before. Checkpoints are written beside and
    renamed, so a run killed at any moment goes on with --resume, on a CPU to the same bits. The model with the best
    validation loss is kept.
    """
    options = locals()
    given = {name: options[name] for name in DEFAULTS.to_dict() if options[name] is not None}
    for name in ("embedding_size", "clip_norm", "patience"):  # none of it is written 0
        if given.get(name) == 0:
            given[name] = None
    began = stored_recipe(folder) if resume else None
    fields = {**(began.to_dict() if began else {}), **(read_recipe(recipe) if recipe else {}), **given}
    chosen = Recipe.from_dict(fields)
    try:
        result = run(chosen, folder, resume=resume, device=device, progress=False if quiet else None)
    except KeyboardInterrupt:
        typer.echo(f"unrolled: stopped; --resume goes on from the last checkpoint in {folder}", err=True)
        raise typer.Exit(130) from None
    if result:  # nothing in the other processes
        score = result["validation"]["carried"]
        tell(
            {"folder": folder, **result},
            as_json,
            f"{folder}: update {result['best_update']} of {result['updates']} is best\n"
            f"validation: {units(score)}; in fresh windows of {WINDOW}: {units(result['validation']['windows'])}\n"
            f"{result['parameters']:,} parameters, {result['seconds']:.1f} s, "
            f"{result['characters_per_second'] or 0:,.0f} characters/s",
        )


@app.command()
def sample(
    model: ModelArgument,
    prompt: Annotated[
        str | None, typer.Option(help="What to go on from; a line's beginning if not given.")
    ] = None,
    length: Annotated[int, typer.Option(min=0, help="Characters to add.")] = 500,
    temperature: Annotated[
        float, typer.Option(help="Below 1 more careful, above 1 bolder; 0 takes the likeliest.")
    ] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Choose among the k likeliest characters only.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Choose among the likeliest that together have this share.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many texts.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same text.")] = 0,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Let a model write on from a prompt, one character after another."""
    if not -(2**63) <= seed < 2**64:  # what torch takes
        raise ValueError(f"seed: expected a whole number from -2**63 to 2**64 - 1, got {seed}")
    loaded = load(model, device=training_device(device))
    if prompt is None:
        characters = loaded.vocabulary.characters
        prompt = "\n" if "\n" in characters else characters[0]
    generator = torch.Generator(loaded.readout.W_hy.device).manual_seed(seed)
    options: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    texts = [generate(loaded, prompt, length, **options, generator=generator) for _ in range(count)]
    told = {"model": model, "prompt": prompt, "seed": seed, **options, "samples": texts}
    tell(told, as_json, "\n---\n".join(prompt.lstrip("\n") + text for text in texts))


@app.command()
def evaluate(
    model: ModelArgument,
    corpus: Annotated[
        str | None, typer.Option(help=f"{', '.join(CORPORA)}, or a text file; its own if not given.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="train, validation, test, or held-out: the last two, one after the other.")
    ] = "validation",
    window: Annotated[
        int, typer.Option(min=0, help="Length of the fresh windows; 0 leaves them out.")
    ] = WINDOW,
    rows: Annotated[
        int, typer.Option(min=1, help="Rows side by side: faster, and a little pessimistic.")
    ] = 1,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a model on a text: nats and bits per character, and perplexity.

    Two ways, both told: with the state carried through the whole text, and in fresh windows that do not overlap, as a
    model without a state must read.
    """
    loaded = load(model, device=training_device(device))
    corpus = corpus or loaded.about.get("recipe", {}).get("corpus")
    if corpus is None:
        raise ValueError("corpus: expected a name or a text file, as the model names none; got none")
    if split not in SPLITS:
        raise ValueError(f"split: expected {', '.join(SPLITS)}, got {split!r}")
    opened = open_corpus(corpus)
    stored = loaded.about.get("corpus", {})
    if opened.source == stored.get("source") and fingerprint(opened) != stored.get("sha256"):
        raise ValueError(
            f"corpus: expected the text this model was trained on, got another: {corpus} has changed"
        )
    text = opened.validation + opened.test if split == "held-out" else getattr(opened, split)
    found = losses_on(loaded, text, rows=rows, window=window or None)
    lines = [
        f"{found['characters']:,} characters of {corpus}, {split}",
        f"state carried: {units(found['carried'])}",
    ]
    if "windows" in found:
        lines.append(f"fresh windows of {window}: {units(found['windows'])}")
    tell({"model": model, "corpus": corpus, "split": split, **found}, as_json, "\n".join(lines))


@app.command()
def info(model: ModelArgument, as_json: JsonOption = False) -> None:
    """Tell what a model is: sizes, parameters, corpus, recipe, scores."""
    weights, about = read_model(model)
    number = sum(weight.numel() for weight in weights.values())
    told = {"source": model, "parameters": number, **about}
    lines = [f"{model}: {number:,} parameters"]
    if nats := about.get("validation_nats"):
        lines.append(f"  validation (as in training): {units(in_units(nats))}")
    for part in ("model", "corpus", "recipe", "validation"):
        if part in about:
            lines.append(part)
            lines += [f"  {name:17} {short(value)}" for name, value in about[part].items()]
    tell(told, as_json, "\n".join(lines))


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave with its exit code.

    Args:
        arguments: the command line without the program's name; None takes that of the process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    with leaving(arguments):
        # With --json typer leaves it to us to tell bad usage, in JSON, and to leave.
        code = app(arguments, prog_name="unrolled", standalone_mode="--json" not in arguments)
        sys.exit(code if isinstance(code, int) else 0)
