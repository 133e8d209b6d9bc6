"""`compile --precision`: what is supported where, what is measured on, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from perceiver_graph.diagnostics.commands import option
from perceiver_graph.diagnostics.errors import DiagnosticError

if TYPE_CHECKING:
    from perceiver_graph.compiler.backends.onnx.trial import Sample
    from perceiver_graph.compiler.driver import Compiled
    from perceiver_graph.spec.manifest import Deviation, Manifest, Quantization


def require_sense(precision: str, backend: str, calibrate: Path | None) -> None:
    """Refuse options that contradict each other: PG602."""
    if precision != "fp32" and backend == "torch":
        raise DiagnosticError.of(
            "PG602",
            f"precision {precision} is not supported by the torch backend",
            notes=["model.py is to train, in float32 or as autocast says"],
            help=f"compile with {option('--backend', 'onnx')} or {option('--backend', 'all')}",
        )
    if calibrate is not None and precision != "int8":
        raise DiagnosticError.of(
            "PG602",
            f"there is nothing to calibrate in precision {precision}",
            help=f"compile with {option('--precision', 'int8')}, or leave out `--calibrate`",
        )


def read_sample(compiled: Compiled, path: Path) -> Sample:
    """The arrays of an archive, as for `run --inputs`, under the names that encode has for them.

    Raises DiagnosticError (PG501 to PG505, PG513, PG514).
    """
    from perceiver_graph.compiler.artifact import describe
    from perceiver_graph.compiler.backends.onnx.trial import Sample
    from perceiver_graph.runtime.feeds import check_inputs
    from perceiver_graph.runtime.inputs import archive_of_arrays, read_arrays
    from perceiver_graph.spec.manifest import Manifest

    lowered = compiled.lowered
    described = Manifest.model_construct(
        inputs=describe.input_entries(lowered),
        outputs=describe.output_entries(lowered),
        dims=describe.dimensions(lowered),
    )
    source = archive_of_arrays(path, described)
    feeds = check_inputs(described, read_arrays(source, described))
    given = {leaf.value.name: feeds.get(leaf.role, leaf.of) for leaf in compiled.graph.inputs}
    arrays = {name: array for name, array in given.items() if array is not None}
    return Sample(arrays, path.name if source.is_file else source.label)


def report(manifest: Manifest) -> Iterator[str]:
    """Lines on how much is computed in 8 bits, why the rest is not, and what that costs."""
    found = manifest.quantization
    if found is None:
        return
    yield f"int8: {found.int8} of {found.products} products{_kept(found)}"
    yield f"error against fp32 on {found.input}, of each output:"
    width = max(map(len, found.error))
    for name, error in found.error.items():
        yield f"  {name.ljust(width)}  {_described(error)}"


def _described(error: Deviation) -> str:
    if error.largest is None or error.rms is None:
        return "holds numbers that are not finite: it cannot be compared"
    return f"{error.largest:.2%} of the largest number (rms {error.rms:.2%})"


def _kept(found: Quantization) -> str:
    counts: dict[str, int] = {}
    for reason in found.kept.values():
        short = reason.partition(":")[0]
        counts[short] = counts.get(short, 0) + 1
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    return f"; in float: {reasons}" if reasons else ""
