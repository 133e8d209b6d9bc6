"""How a Perceiver of another library is compared with ours, the same for all of them.

A module of the library gets random numbers everywhere, norms and biases too, and its state dict goes into
a file. `import` makes a spec and weights of it, whose programs have to give what the module gives in double
precision. At published size it is the shipped spec that takes the file as its weights.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

import perceiver_graph as pg
from perceiver_graph.compiler.importing import import_checkpoint, save
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.spec.loader import parse_spec
from tests.figures import rounded_up

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "family-site"
"""Where `make test-family` installs the libraries."""
FIGURES = Path(__file__).parent / "figures.json"
"""What was measured; the table of systems shows it."""
CONFIGURATIONS = 30
TOLERANCE = 1e-5
"""Of the largest output."""
TOLERANCE_64 = 1e-10
_POINTS = ".points"

if SITE.is_dir() and str(SITE) not in sys.path:
    sys.path.append(str(SITE))  # last: what the tests run with comes first


@dataclass
class Case:
    """A module of a library in one configuration."""

    module: Any
    inputs: Mapping[str, Array]
    """By the names of our inputs; numbers in float64."""
    answer: Callable[..., Any] = lambda module, *tensors: module(*tensors)
    """What the module gives for the inputs, in their order."""
    settings: Sequence[str] = ()
    """What import is told: no tensor says how many heads there are."""
    without: Sequence[str] = ()
    """Tensors that are not of the Perceiver: left out of its file."""


@dataclass(frozen=True)
class Reference:
    """A library's module for a shipped spec."""

    spec: str
    package: str
    of: str
    """The class."""
    published: Callable[[], Case]
    drawn: Callable[[np.random.Generator], Case]
    """A random configuration."""
    key: str = ""
    """The name of its figures, where a spec is compared with several modules."""
    least: float = TOLERANCE_64
    """Of the difference in float64: more where the reference itself computes in float32."""
    imported: bool = False
    """Whether its file has to be imported before the shipped spec takes it."""
    large: bool = False
    """Whether the published size takes gigabytes."""

    @property
    def name(self) -> str:
        return self.key or self.spec

    @property
    def version(self) -> str:
        return f"{self.package} {importlib.metadata.version(self.package)}"


@dataclass
class Measured:
    """The largest differences, of the largest output."""

    reference: str
    parameters: int = 0
    published: float = 0.0
    """At published size: of ONNX programs at -O0 and -O2 and of the PyTorch module, in float32."""
    drawn: float = 0.0
    """The same of random configurations."""
    double: float = 0.0
    """Of random configurations in float64: the graph at -O0 and at -O2, and the PyTorch module."""
    configurations: int = 0

    def line(self, name: str) -> str:
        published = f"{self.parameters:>11,} parameters  {self.published:.1e} at published size"
        if not self.parameters:
            published = "not compared at published size (FAMILY_LARGE=1 does)"
        return (
            f"{name:24} {self.reference:62} {published}, {self.drawn:.1e} in {self.configurations} "
            f"random configurations (ONNX -O0 and -O2, PyTorch), {self.double:.1e} in float64"
        )


def single(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """In single precision; masks and ids as they are."""
    return {n: x.astype(np.float32) if x.dtype == np.float64 else x for n, x in arrays.items()}


def off(found: Array, expected: Array) -> float:
    """The largest difference as a share of the largest output."""
    assert found.size == expected.size, (found.shape, expected.shape)
    scale = float(np.abs(expected).max())
    return float(np.abs(found.reshape(expected.shape) - expected).max()) / scale


def together(found: Mapping[str, Any], outputs: Sequence[str]) -> Array:
    """The only output, or all of them one after the other along a new first axis."""
    arrays = [np.asarray(found[name]) for name in outputs]
    return np.stack(arrays) if len(arrays) > 1 else arrays[0]


def library(module: str, beside: Sequence[str] = ()) -> Any:
    """A module of a library that only this comparison has. The packages above it, and those `beside` it,
    are entered without what importing them whole would need."""
    parents = [module.rpartition(".")[0], *beside] if beside else []
    for parts in (parent.split(".") for parent in parents):
        for depth in range(len(parts)):
            name = ".".join(parts[: depth + 1])
            bare = types.ModuleType(name)
            bare.__path__ = [str(SITE.joinpath(*parts[: depth + 1]))]
            sys.modules.setdefault(name, bare)
    return importlib.import_module(module)


def module_of(package: str, path: str, name: str) -> Any:
    """A class out of one file of a package, without what importing all of the package would need."""
    spec = importlib.util.spec_from_file_location(f"family_{package}_{name}", SITE / package / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def randomised(module: Any, seed: int) -> Any:
    """With every parameter random, such that values keep their size through maps and norms."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            rows = parameter.dim() > 1 and name.endswith("weight")
            std = parameter.shape[-1] ** -0.5 if rows else 0.3
            parameter.normal_(std=std, generator=generator)
            is_scale = parameter.dim() == 1 and name.rsplit(".")[-1] in ("weight", "gamma")
            if is_scale:
                parameter.add_(1)
    return module.float().eval()


def as_tensors(arrays: Mapping[str, Array]) -> list[dict[str, torch.Tensor]]:
    """What a PyTorch module takes: inputs and, where any are given, the points of outputs."""
    tensors = {name: torch.from_numpy(x) for name, x in arrays.items()}
    points = {n.removesuffix(_POINTS): x for n, x in tensors.items() if n.endswith(_POINTS)}
    inputs = {name: x for name, x in tensors.items() if not name.endswith(_POINTS)}
    return [inputs, points] if points else [inputs]


def answer(case: Case) -> Array:
    """What the module gives, computed in double precision."""
    with torch.no_grad():
        module = case.module.double()
        found = case.answer(module, *(torch.from_numpy(x) for x in case.inputs.values()))
        case.module.float()
    return np.asarray(found.numpy())


def checkpoint(case: Case, folder: Path) -> Path:
    """The state dict of the module as a file."""
    path = folder / "theirs.safetensors"
    state = case.module.state_dict()
    kept = {n: t.contiguous().clone() for n, t in state.items() if n not in case.without}
    save_file(kept, path)
    return path


def compare(case: Case, folder: Path, measured: Measured) -> None:
    """Import what a module has, and compare with it: in float32 and in float64, at -O0 and -O2."""
    theirs = checkpoint(case, folder)
    expected = answer(case)
    imported = import_checkpoint(theirs, settings=case.settings)
    save(imported, folder / "imported")
    for level in (0, 2):
        compiled = pg.compile(parse_spec(imported.spec_text, "imported.yaml"), level=level)
        given = single(case.inputs)
        weights = {name: x.astype(np.float64) for name, x in imported.weights.items()}
        outputs = list(compiled.lowered.outputs)
        sizes = {
            str(dim): size
            for leaf in compiled.graph.inputs
            if leaf.value.name in case.inputs
            for dim, size in zip(leaf.value.shape, case.inputs[leaf.value.name].shape, strict=True)
        }
        asked = {
            leaf.value.name: np.arange(expected.shape[-2])
            for leaf in compiled.graph.inputs
            if leaf.role == "queries"
        }
        asked |= {
            leaf.value.name: np.array([sizes[leaf.of]])
            for leaf in compiled.graph.inputs
            if leaf.role == "size"
        }
        found = together(evaluate(compiled.graph, {**case.inputs, **asked}, weights), outputs)
        measured.double = max(measured.double, off(found, expected))
        artifact = folder / f"artifact{level}"
        compiled.save(artifact, weights=folder / "imported" / "weights.safetensors")
        found = together(pg.load(artifact, device="cpu").run(given), outputs)
        measured.drawn = max(measured.drawn, off(found, expected))
    module: Any = compiled.to_torch(imported.weights)
    for dtype in (torch.float32, torch.float64):
        with torch.no_grad():
            arrays = case.inputs if dtype == torch.float64 else single(case.inputs)
            share = off(together(module.to(dtype)(*as_tensors(arrays)), outputs), expected)
        which = "double" if dtype == torch.float64 else "drawn"
        setattr(measured, which, max(getattr(measured, which), share))
    measured.configurations += 1


def compare_published(reference: Reference, folder: Path, measured: Measured) -> None:
    """The shipped spec takes what a module of the published size has, under the names it has there."""
    spec, case = reference.spec, reference.published()
    theirs = checkpoint(case, folder)
    if reference.imported:
        save(import_checkpoint(theirs, settings=case.settings), folder / "imported")
        theirs = folder / "imported" / "weights.safetensors"
    expected = answer(case)
    given = single(case.inputs)
    for level in (0, 2):
        compiled = pg.compile(spec, level=level)
        outputs = list(compiled.lowered.outputs)
        compiled.save(folder / f"artifact{level}", weights=theirs)
        program = pg.load(folder / f"artifact{level}", device="cpu")
        share = off(together(program.run(given), outputs), expected)
        measured.published = max(measured.published, share)
    measured.parameters = compiled.graph.parameter_count
    module: Any = compiled.to_torch(theirs)
    with torch.no_grad():
        share = off(together(module(*as_tensors(given)), outputs), expected)
    measured.published = max(measured.published, share)


def figures() -> dict[str, dict[str, Any]]:
    """What was measured before, by the name of a reference."""
    found: dict[str, dict[str, Any]] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return found


def as_figures(reference: Reference, measured: Measured) -> dict[str, Any]:
    """What is kept of a measurement."""
    return {
        "spec": reference.spec,
        "reference": reference.version,
        "class": reference.of,
        "parameters": measured.parameters,
        **{key: rounded_up(getattr(measured, key)) for key in ("published", "drawn", "double")},
    }


def check(reference: Reference, measured: Measured) -> None:
    """As close as the tolerance, and as close as it was, rounding of another machine aside."""
    assert max(measured.published, measured.drawn) <= TOLERANCE
    assert measured.double <= reference.least
    before, now = figures()[reference.name], as_figures(reference, measured)
    if not measured.parameters:  # not compared at published size
        now |= {key: before[key] for key in ("parameters", "published")}
    for key in ("published", "drawn", "double"):
        assert now.pop(key) <= 4 * before.pop(key), key
    assert now == before


def draw(rng: np.random.Generator, *most: int) -> Iterator[int]:
    """Random numbers from 1 to these."""
    return (int(rng.integers(1, end + 1)) for end in most)
