"""The compiler as one call: spec -> graph -> optimised programs -> artifact or module."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from perceiver_graph import storage
from perceiver_graph.choices import Precision, TargetName
from perceiver_graph.compiler import foreign
from perceiver_graph.compiler.artifact import describe
from perceiver_graph.compiler.artifact import folder as artifact
from perceiver_graph.compiler.backends import base
from perceiver_graph.compiler.backends.base import Job, Written
from perceiver_graph.compiler.backends.torch.backend import Torch
from perceiver_graph.compiler.ir.dumps import refuse_inside
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ir.places import with_paths, without_paths
from perceiver_graph.compiler.ir.sizes import largest
from perceiver_graph.compiler.lowering.checked import lower_spec
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.compiler.lowering.overridden import blamed
from perceiver_graph.compiler.passes.pipeline import Level, optimize, rewrite
from perceiver_graph.compiler.programs import attention as attentions
from perceiver_graph.compiler.programs import cost, generation, int8, phases
from perceiver_graph.compiler.programs import plan as planner
from perceiver_graph.compiler.programs.attention import CrossAttend
from perceiver_graph.compiler.programs.needs import Plan
from perceiver_graph.compiler.programs.phases import Programs
from perceiver_graph.compiler.programs.target import DEFAULT, Target
from perceiver_graph.compiler.weights import initialize, load_arrays, trained
from perceiver_graph.compiler.weights import load as load_weights
from perceiver_graph.diagnostics import DiagnosticError, Report
from perceiver_graph.diagnostics.arguments import as_path, one_of, whole, wrong_kind
from perceiver_graph.diagnostics.calls import Answering, answered
from perceiver_graph.spec.glance import Glance, Glanced
from perceiver_graph.spec.loader import AnySpec, Document
from perceiver_graph.spec.manifest import MANIFEST_VERSION, SPEC_NAME, Manifest, ports
from perceiver_graph.spec.render import render_yaml, resolved_data

if TYPE_CHECKING:
    from torch import nn

    from perceiver_graph.compiler.backends.onnx.trial import Sample

_WEIGHTS = "a path, arrays by name as `state_dict()` has them, or a module of torch"
Announce = Callable[[str], None]
"""Called with what begins now, for example `writing encode.onnx`."""


@answered(foreign.OF_COMPILE)
def compile(
    spec: AnySpec | Document,
    *,
    overrides: Sequence[str] = (),
    level: Level = 2,
    target: TargetName = "cpu",
    device: TargetName | None = None,
    precision: Precision = "fp32",
    memory: int | None = None,
    attention: bool = False,
    verify: bool = False,
    dump_ir: str | Path | None = None,
) -> Compiled:
    """Check a spec and lower it to a graph.

    `spec` is what `load_spec` takes (a path, the name of a shipped spec, YAML text, a mapping) or the
    document that it returns; `overrides` are `KEY=VALUE` strings. `target` and `precision` choose
    operators of the ONNX programs, which run elsewhere too, only slower; `onnx-standard` takes none
    beside those of ai.onnx. `device` is another name of `target`. `memory` is what a run of the
    ONNX programs may take, in bytes: decode chunks and attention scores are made as small as that
    needs. With `attention` there are more ONNX programs, for `Program.attention`. Weights are needed
    only by what follows: `save`, `to_torch`. Raises DiagnosticError with everything that is wrong
    with the spec, for a precision that the device does not have (PG602), for too little memory
    (PG604) and where there is no attention to show (PG523); TypeError or ValueError for arguments
    of the wrong kind.
    """
    one_of("level", get_args(Level), level)
    one_of("target", get_args(TargetName), target)
    if device is not None:
        one_of("device", get_args(TargetName), device)
        target = device
    one_of("precision", get_args(Precision), precision)
    if memory is not None:
        memory = whole("memory", "a number of bytes, for example 2 * 2**30", memory)
    dump_ir = dump_ir if dump_ir is None else as_path("dump_ir", "a folder", dump_ir)
    wanted = Target(target, precision)
    wanted.require_supported()
    if isinstance(spec, Document) and overrides:
        raise ValueError("overrides come too late for a Document: give them to load_spec")
    lowered = lower(spec) if isinstance(spec, Document) else lower_spec(spec, overrides)
    lowered = replace(lowered, graph=without_paths(lowered.graph, lowered.document))
    shown = attentions.shown(lowered, wanted) if attention else {}
    compiled = Compiled(lowered, level, wanted, verify, dump_ir, memory, shown)
    return compiled.within_memory()


@dataclass(frozen=True, repr=False)
class Compiled(Glanced, Answering):
    """A spec as a graph, ready to be given weights and emitted."""

    _instead = foreign.OF_COMPILED
    __call__ = foreign.refuse_call

    lowered: Lowered
    level: Level = 2
    target: Target = DEFAULT
    verify: bool = False
    dump_ir: Path | None = None
    memory: int | None = None
    attention: Mapping[str, CrossAttend] = field(default_factory=dict)

    def _glance(self) -> Glance:
        name, target = self.lowered.document.spec.name, self.target
        how = f"{target.precision} for {target.name}, level {self.level}"
        heading = f"Compiled {name}: {self.graph.parameter_count:,} parameters, {how}"
        entries = describe.input_entries(self.lowered), describe.output_entries(self.lowered)
        return Glance(heading, tuple(ports(*entries)))

    @property
    def graph(self) -> Graph:
        """The graph as the reference computes it."""
        return self.lowered.graph

    @cached_property
    def optimized(self) -> Graph:
        """The graph as the ONNX programs have it, before the values of weights are folded in."""
        return optimize(
            self._rewritten, level=self.level, frozen=True, verify=self.verify, rewritten=True
        )

    @cached_property
    def _rewritten(self) -> Graph:
        return rewrite(self.graph, level=self.level, verify=self.verify)

    @cached_property
    def plan(self) -> Plan:
        """Decode chunks and attention scores, and the memory that a run takes: PG604 if too much."""
        kept, rounded = generation.kept(self.writing), int8.expected(self.optimized, self.target)
        return planner.plan(self.lowered, self.optimized, self.memory, kept, rounded)

    def within_memory(self) -> Compiled:
        """The same with a target that holds no more scores at once than the memory permits."""
        if self.memory is None:
            return self
        return replace(self, target=replace(self.target, score_limit=self.plan.score_limit))

    @cached_property
    def flops(self) -> int:
        """Multiplications plus additions of a run that answers every query, batch 1."""
        return cost.flops(self.optimized, largest(self.graph.symbols))

    @cached_property
    def module_flops(self) -> int:
        """The same of the PyTorch module, which no pass has made smaller."""
        from perceiver_graph.compiler.backends.torch.simplify import simplify

        graph = simplify(self.graph)
        return cost.flops(graph, largest(self.graph.symbols), trained=True)

    @answered()
    def weights(
        self, source: trained.Weights | None = None, seed: int = 0, *, report: Report | None = None
    ) -> dict[str, Array]:
        """Every parameter by name: from a file or folder, from arrays by name (a state dict of torch
        or its module), else initialised from the seed.

        `report` is told what was converted. Raises DiagnosticError listing every tensor that does not fit.
        """
        source = trained.state_of(source)
        if source is None:
            return initialize(self.graph, whole("seed", "a whole number, 0 or more", seed, 0))
        graph = with_paths(self.graph, self.lowered.document)
        try:
            if isinstance(source, Mapping):
                return load_arrays(source, graph, report=report)
            return load_weights(as_path("weights", _WEIGHTS, source), graph, report=report)
        except DiagnosticError as error:
            raise blamed(error, self.lowered.document, graph) from error

    @cached_property
    def writing(self) -> generation.Writing | None:
        """How the model writes texts; None of one that is not causal."""
        return generation.writing(self.lowered)

    def programs(self, weights: Mapping[str, Array]) -> Programs:
        """The programs by name, with everything evaluated that depends on weights only: those of a
        run, those of a model that writes, and those that show attention."""
        whole = self.dump_ir is not None  # a dump has every step
        optimized = optimize(
            self.graph if whole else self._rewritten,
            level=self.level,
            parameters=weights,
            verify=self.verify,
            dump=self.dump_ir,
            rewritten=not whole,
        )
        found = phases.finish_early(phases.split(optimized))
        more = attentions.programs(self.lowered, self.attention)
        for name, graph in {**(self.writing.programs if self.writing else {}), **more}.items():
            found[name] = optimize(graph, level=self.level, parameters=weights, verify=self.verify)
        return found

    @answered(foreign.OF_TO_TORCH)
    def to_torch(self, weights: trained.Weights | None = None, *, seed: int = 0) -> nn.Module:
        """The model as a `torch.nn.Module` in eval mode: call `train()` on it before training. Raises
        DiagnosticError as `weights`, and PG509 without torch."""
        from perceiver_graph.compiler.backends.torch.loading import load_module

        parameters = self.weights(weights, seed)
        return load_module(self.torch_source(), parameters)

    def torch_source(self) -> str:
        """The model as one Python file that needs only torch."""
        return Torch.source(self.lowered)

    @answered(foreign.OF_SAVE)
    def save(
        self,
        directory: str | Path,
        *,
        backends: Sequence[str] = ("onnx",),
        weights: trained.Weights | None = None,
        seed: int | None = None,
        sample: Sample | None = None,
        origin: str | None = None,
        progress: Announce = lambda _: None,
        report: Report | None = None,
    ) -> Manifest:
        """Write the artifact folder, whole or not at all; returns its manifest.

        `report` is told what was converted of the weights, and what the target will not run; `origin` is
        what the manifest says of where they come from [the name of their file]. An int8 program is
        measured on `sample`, else on random input. Trained weights that lie there are replaced by
        initial ones only where a `seed` is given. Raises DiagnosticError for weights that do not fit
        (PG3xx) and where the folder cannot be written (PG407), or the graph not be dumped (PG511).
        """
        directory = as_path("directory", "a path", directory)
        base.require_known(backends)
        if sample is not None and not hasattr(sample, "arrays"):
            raise wrong_kind("sample", f"a Sample of the package ({foreign.CALIBRATED})", sample)
        weights = trained.state_of(weights)
        refuse_inside(self.dump_ir, directory)
        if storage.refuse_foreign(directory, artifact.ARTIFACT).digests:
            trained.refuse_loss(directory, weights, seed, backends)
        progress("reading weights" if weights else "initialising weights")
        parameters = self.weights(weights, seed or 0, report=report)
        with storage.staged_folder(directory, artifact.ARTIFACT) as stage:
            (stage / SPEC_NAME).write_text(self.resolved_spec(), encoding="utf-8")
            written = self._write(backends, parameters, stage, sample, progress)
            progress("computing digests")
            origin = origin or trained.origin(weights, seed or 0)
            manifest = self._manifest(stage, backends, origin, written)
            artifact.write_manifest(stage, manifest)
        (report or Report()).extend(written.warnings)
        return manifest

    def resolved_spec(self) -> str:
        """The spec with every default and every derived value written out."""
        document = self.lowered.document
        return render_yaml(
            resolved_data(document.spec, self.lowered.derived),
            f"{document.spec.name}, every default written out by {describe.tool()}",
        )

    def _write(
        self,
        backends: Sequence[str],
        parameters: Mapping[str, Array],
        stage: Path,
        sample: Sample | None,
        progress: Announce,
    ) -> Written:
        """Let the backends write; what is there to run."""
        spec = self.lowered.document.spec
        job = Job(
            self.lowered,
            parameters,
            stage,
            self.target,
            lambda: self.programs(parameters),
            describe.input_entries(self.lowered),
            {"name": spec.name, "spec_sha256": self.spec_digest, "tool": describe.tool()},
            largest(self.graph.symbols),
            sample,
            progress,
        )
        chosen = [base.BACKENDS[name] for name in base.BACKENDS if name in backends]
        if self.dump_ir is not None and not any(backend.optimizes for backend in chosen):
            storage.tell(f"nothing is written to {self.dump_ir}: a module is made without passes")
        found = [backend().write(job) for backend in chosen]
        return next((written for written in found if written.programs), Written())

    @property
    def spec_digest(self) -> str:
        """SHA-256 of the resolved spec, which is what the programs were made from."""
        return hashlib.sha256(self.resolved_spec().encode()).hexdigest()

    def _manifest(
        self,
        stage: Path,
        backends: Sequence[str],
        origin: str,
        written: Written,
    ) -> Manifest:
        spec = self.lowered.document.spec
        plan, rounded = self.plan, int8.expected(self.optimized, self.target)
        if written.quantization is not None:
            rounded -= written.quantization.kept.keys()
            kept = generation.kept(self.writing)
            plan = planner.as_written(
                plan, self.lowered, self.optimized, self.memory, kept, rounded
            )
        shown = describe.attention(self.attention)
        results = {*self.lowered.outputs, *attentions.results(self.attention)}
        programs = describe.program_entries(written.programs, written.files, results)
        return Manifest(
            format=MANIFEST_VERSION,
            name=spec.name,
            summary=spec.summary,
            tool=describe.tool(),
            backends=list(backends),
            extensions=describe.extensions(self.lowered, base.classes_of(backends, self.level)),
            spec_sha256=self.spec_digest,
            weights=origin,
            level=self.level,
            precision=self.target.precision,
            quantization=written.quantization,
            files=artifact.file_entries(stage),
            inputs=describe.input_entries(self.lowered),
            outputs=describe.output_entries(self.lowered),
            dims=describe.dimensions(self.lowered),
            generation=describe.generation(self.lowered, self.writing if programs else None),
            attention=shown if programs else None,
            chunks=plan.chunks,
            memory=None if self.memory is None else describe.run_memory(plan, self.memory),
            decode_memory=planner.decode_memory(self.optimized, rounded),
            places=describe.places(self.lowered, self.optimized, rounded),
            programs=programs,
            parameters=self.graph.parameter_count,
            flops=self.flops if programs else self.module_flops,
        )
