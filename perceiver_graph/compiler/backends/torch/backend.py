"""PyTorch as a choice of `--backend`: a module to train."""

from __future__ import annotations

from dataclasses import replace

from perceiver_graph.compiler.backends.base import Backend, Job, Written
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.compiler.programs import generation


class Torch(Backend):
    """A module to train, as one file that needs only torch."""

    name = "torch"

    def write(self, job: Job) -> Written:
        """Write model.py and its weights."""
        from perceiver_graph.compiler.backends.torch import loading

        job.progress("writing PyTorch")
        loading.write(self.source(job.lowered), job.graph, job.parameters, job.folder)
        return Written()

    @staticmethod
    def source(lowered: Lowered) -> str:
        """The model as one Python file."""
        from perceiver_graph.compiler.backends.torch.interface import interface_of
        from perceiver_graph.compiler.backends.torch.source import source

        spec = lowered.document.spec
        return source(
            lowered.graph,
            name=spec.name,
            chunks=lowered.chunks,
            header=f"{spec.name}: {spec.summary}" if spec.summary else spec.name,
            interface=interface_of(lowered),
            writing=lambda graph: generation.writing(replace(lowered, graph=graph)),
        )
