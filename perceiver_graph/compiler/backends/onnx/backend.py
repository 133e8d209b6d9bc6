"""ONNX as a choice of `--backend`: programs for onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator

from perceiver_graph.compiler.backends.base import Backend, Job, Written
from perceiver_graph.diagnostics import Diagnostic, Report, make
from perceiver_graph.spec.manifest import Quantization


class Onnx(Backend):
    """Programs for onnxruntime."""

    name = "onnx"
    optimizes = True

    def write(self, job: Job) -> Written:
        """Write a file for each program, and their weights."""
        from perceiver_graph.compiler.backends.onnx import calibration, files, trial
        from perceiver_graph.compiler.ir.interpreter import bindings

        job.progress("optimising")
        programs = job.optimize()
        job.progress("writing ONNX")
        if job.target.precision != "int8":
            report = Report()
            written = files.write(
                programs, job.parameters, job.folder, job.metadata, target=job.target, report=report
            )
            return Written(programs, tuple(written), None, report.diagnostics)

        def given(sample: trial.Sample) -> trial.Trial:
            sizes = {**job.sizes, **bindings(programs["encode"], sample.arrays)}
            queries = {name: o.queries.evaluate(sizes) for name, o in job.lowered.outputs.items()}
            return trial.Trial(programs, job.parameters, job.target, sample, sizes, queries)

        sample = job.sample or trial.random_sample(programs["encode"], job.inputs, job.sizes)
        averaged, judged = trial.apart(programs["encode"], sample)
        written, quantization = calibration.write(
            given(judged),
            given(averaged) if averaged else None,
            job.folder,
            job.metadata,
            job.progress,
        )
        return Written(programs, tuple(written), quantization, tuple(_of_int8(quantization)))


def _of_int8(found: Quantization) -> Iterator[Diagnostic]:
    """What is said where 8 bits change nothing."""
    if not found.int8:
        why = (
            "are worth it" if found.products else "can be: the model multiplies by no known matrix"
        )
        message = (
            f"nothing is computed in 8 bits: no products {why}, and the programs are as in fp32"
        )
        yield make("PG602", message, severity="warning")
