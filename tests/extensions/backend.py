"""A backend: `--backend text` writes the optimised programs as IR text, and the weights beside them."""

from __future__ import annotations

from safetensors.numpy import save_file

from perceiver_graph.compiler.backends.base import Backend, Job, Written
from perceiver_graph.compiler.ir.text import print_graph


class Text(Backend):
    """IR text, to read."""

    name = "text"
    optimizes = True

    def write(self, job: Job) -> Written:
        """Write a file for each program, and one of weights."""
        for name, program in job.optimize().items():
            (job.folder / f"{name}.ir").write_text(print_graph(program), encoding="utf-8")
        save_file(dict(job.parameters), job.folder / "weights.safetensors")
        return Written()
