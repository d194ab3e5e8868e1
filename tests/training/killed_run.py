"""Start a training command again and again, kill it at random moments, then let it end. Run by test_runs.

Each life is a fork of this process, which has imported everything already: only the import is spared, the command is
the one that `unrolled` runs. Prints after how many updates each killed life began, the exit codes of those that ended,
and the runs' folders.
"""

import contextlib
import io
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from unrolled.cli import commands as cli


def life(arguments: list[str]) -> int:
    """Start the command in a process of its own; its number."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        cli.main(arguments)
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    finally:
        os._exit(code)


def newest(folder: Path) -> int:
    """The number of the newest checkpoint."""
    return max((int(file.stem.rpartition("-")[2]) for file in folder.glob("checkpoint-*.json")), default=0)


def main() -> None:
    """Arguments: folder, kills, the longest life to begin with, then those of `unrolled train` after its folder."""
    folder, kills, first, *rest = sys.argv[1:]
    longest = float(first)  # the longest life, in seconds
    torch.set_num_threads(1)
    # What is imported late is imported here, once: by torch with its first optimiser, by typer with its first page.
    torch.optim.AdamW([torch.zeros(1)]).zero_grad()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        cli.main(["train", "--help"])
    draw, began, codes = random.Random(0), [], []
    runs = [Path(folder, "run-1")]
    while len(began) < int(kills):
        before = newest(runs[-1])
        child = life(["train", str(runs[-1]), "--resume", "--quiet", *rest])
        time.sleep(draw.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            began.append(before)
            if newest(runs[-1]) == before:  # too short to get anywhere: the machine is slow, or busy
                longest *= 1.3
        else:  # it had ended before the signal came: on a fast machine one run is not enough
            codes.append(os.waitstatus_to_exitcode(status))
            runs.append(Path(folder, f"run-{len(runs) + 1}"))
    _, status = os.waitpid(life(["train", str(runs[-1]), "--resume", "--quiet", *rest]), 0)
    codes.append(os.waitstatus_to_exitcode(status))
    print(json.dumps({"began": began, "codes": codes, "runs": [str(run) for run in runs]}))


if __name__ == "__main__":
    main()
