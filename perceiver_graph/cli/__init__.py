"""The command `perceiver-graph`: one file a command, each loaded when it is asked for."""

from __future__ import annotations

import gc
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (default: that of the process) and return its exit code.

    0: fine. 1: the input is wrong, and a diagnostic was printed. 2: wrong usage. 130: Ctrl-C, and
    128 + N for another signal N that ended it. 141: whoever read the output has gone.
    """
    if arguments is None:
        gc.set_threshold(50_000, 1_000)  # little garbage is left: a tenth of the time finds it
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            # Until signals are answered, Ctrl-C ends the process without a word.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    from perceiver_graph.cli.ending import WORDS, orderly
    from perceiver_graph.signals import end_if_asked

    try:
        with orderly():
            from perceiver_graph.cli import streams

            streams.provide()
            from perceiver_graph.cli.app import run
            from perceiver_graph.diagnostics.commands import typed

            with typed():
                code = run(arguments)
            end_if_asked()
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except SystemExit as end:  # a signal, where nothing else was in between
        code = end.code if isinstance(end.code, int) else 1
    if code in WORDS:
        from perceiver_graph.cli import streams

        streams.say(f"{WORDS[code]}\n")
    return code
