"""PG9xx: faults of this package, not of its input."""

from __future__ import annotations

from perceiver_graph.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "PG901",
        "internal error",
        "Something happened that the package did not foresee. It is a bug here, whatever the "
        "input was: please report it with the spec and the command. `--debug` prints the "
        "traceback.",
        "$ perceiver-graph compile my_model.yaml",
        "$ perceiver-graph compile my_model.yaml --debug",
    ),
    Entry(
        "PG902",
        "graph verification failed",
        "After a pass, the graph broke a rule that every graph keeps: a shape that does not "
        "follow from its inputs, a value used before it is made, or a primitive that the "
        "backend has no lowering for. It is a bug in the pass or the backend that the message "
        "names; a lower optimisation level avoids the pass.",
        "$ perceiver-graph compile my_model.yaml -O 2",
        "$ perceiver-graph compile my_model.yaml -O 0",
    ),
)
