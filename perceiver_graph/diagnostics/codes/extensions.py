"""PG7xx: what is defined outside the package."""

from __future__ import annotations

from perceiver_graph.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "PG701",
        "extension cannot be loaded",
        "An extension is a Python file that `--extension` or `pg.extend` names, or a module that an "
        "installed package lists under the entry-point group `perceiver_graph.extensions`. Running it "
        "ended in an error, there is no such file, or what it defines is there already. The message "
        "says which, and the line. Of an installed one it is a note, for commands that do not need it "
        "go on.",
        "$ perceiver-graph check my_model.yaml --extension no_such_file.py",
        "$ perceiver-graph check my_model.yaml --extension my_steps.py",
    ),
    Entry(
        "PG702",
        "artifact needs an extension that is not here",
        "The artifact reads or writes a kind of media that an extension defines, and its manifest "
        "names the extension. Programs hold all that an extension has computed, so that others are "
        "not needed to run one. Install the package that the message names, or name its file.",
        "$ perceiver-graph run build/my_model FILE",
        "$ perceiver-graph run build/my_model FILE --extension my_media.py",
    ),
    Entry(
        "PG703",
        "primitive without a lowering",
        "A backend has a table of what each primitive becomes. One that the table lacks is computed "
        "as other primitives, which its `decompose` says, or by a lowering that the extension "
        "registers for this backend. This primitive has neither.",
        "class Cube(Op):\n    name, operands = 'cube', ('x',)",
        "class Cube(Op):\n    name, operands = 'cube', ('x',)\n\n"
        "    def decompose(self, make, *operands):\n"
        "        (x,) = operands\n"
        "        return make(Mul(), x, make(Mul(), x, x))",
    ),
)
