"""The command `perceiver-graph`: one file a command, each loaded when it is asked for."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

__all__ = ["main"]

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (default: that of the process) and return its exit code.

    0: fine. 1: the input is wrong, and a diagnostic was printed. 2: wrong usage. 130: Ctrl-C.
    141: whoever read the output has gone.
    """
    if arguments is None:  # imports leave little garbage, and looking for it takes a tenth of them
        gc.set_threshold(50_000)
    try:
        from perceiver_graph.cli.app import run

        code = run(arguments)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        print("interrupted", file=sys.stderr)
    return code
