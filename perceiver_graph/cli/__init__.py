"""The command `perceiver-graph`: one file a command, each loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (default: that of the process) and return its exit code.

    0: fine. 1: the input is wrong, and a diagnostic was printed. 2: wrong usage. 130: Ctrl-C.
    141: what read the output went away.
    """
    from perceiver_graph.cli.app import run

    return run(arguments)
