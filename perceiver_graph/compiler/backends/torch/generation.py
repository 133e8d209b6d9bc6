"""Writes `prefill`, `step` and `generate` of a causal model, which goes on with a text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

from perceiver_graph.compiler.backends.torch import cache
from perceiver_graph.compiler.backends.torch import text as py
from perceiver_graph.compiler.backends.torch.calls import Call, Program
from perceiver_graph.compiler.backends.torch.class_text import ClassText
from perceiver_graph.compiler.backends.torch.extents import said, written
from perceiver_graph.compiler.backends.torch.inputs import EAGERLY, SIZES, TENSORS, Inputs
from perceiver_graph.compiler.backends.torch.interface import Interface
from perceiver_graph.compiler.backends.torch.modules import Method
from perceiver_graph.compiler.backends.torch.names import CACHING
from perceiver_graph.compiler.backends.torch.statements import Body
from perceiver_graph.compiler.ir.dims import Dim, format_shape
from perceiver_graph.compiler.ir.graph import Input, Value
from perceiver_graph.spec.programs import PREFILL, STEP

METHODS = frozenset({PREFILL, STEP, "check_step", "check_text", "generate"})
_PLACES = {"latents.places": "last", "latents.before": "others"}
"""The variables of places in all that is read: of the latents, and of what is before them."""
_TAKEN = frozenset({*CACHING, *_PLACES.values(), "inputs", "latents", "position", "sizes"})
"""Arguments and variables of the methods."""


@dataclass(frozen=True)
class Generation:
    """Writes for the module of a model. `input` is its text, of so many ids; `output` has the scores."""

    text: ClassText
    prefill: Program
    step: Program
    input: str
    output: str
    interface: Interface
    like: str
    """A parameter that tells dtype and device."""

    def written(self, check: py.Statement) -> Iterator[py.Statement]:
        """The methods; `check` tells what is wrong with a text that is given."""
        yield from (self._generate(), self._prefill(), self._step(), check, self._check_step())

    def inputs(self, program: Program) -> Inputs:
        """What the caller gives a program of the data."""
        data = ("data", "present", "attention_mask")
        leaves = [leaf for leaf in program.graph.inputs if leaf.role in data]
        return Inputs(leaves, self.like, self.text.reserved | _TAKEN)

    @cached_property
    def labels(self) -> dict[Call, dict[Value, str]]:
        """What the inputs of the programs are called in the classes that they call."""
        return {
            program.root: self.inputs(program).labels | self._others(program)
            for program in (self.prefill, self.step)
        }

    def _others(self, program: Program) -> dict[Value, str]:
        """The variables of places."""
        found: dict[Value, str] = {}
        for leaf in program.graph.inputs:
            if leaf.role == "latents":
                found[leaf.value] = _PLACES[leaf.value.name]
            elif leaf.role == "position":
                found[leaf.value] = "position"
        return found

    @cached_property
    def latents(self) -> int:
        """The most latents."""
        chosen = next(leaf for leaf in self._leaves("latents") if leaf.count.symbol)
        return chosen.count.bounds()[1] or 0

    @cached_property
    def longest(self) -> int | None:
        """How long a text may be."""
        (ids,) = (leaf for leaf in self._leaves("data") if leaf.of == self.input)
        return ids.value.shape[1].bounds()[1]

    def _leaves(self, role: str) -> list[Input]:
        return [leaf for leaf in self.prefill.graph.inputs if leaf.role == role]

    def _prefill(self) -> py.Statement:
        inputs = self.inputs(self.prefill)
        sizes = [SIZES] if inputs.filled else []
        check = f"self.check_text(inputs{', sizes' if sizes else ''})"
        most = [str(self.latents), f"inputs[{py.quoted(self.input)}].shape[1]"]
        fits = py.call("check_latents", "latents", *most)
        names = dict(inputs.variables)
        arrays = {name: value for value, name in names.items()}
        places = []
        for leaf in self._leaves("latents"):
            names[leaf.value] = name = self._others(self.prefill)[leaf.value]
            device = f"{inputs.variables[inputs.data[self.input]]}.device"
            ends = ["-latents", "0"]
            if leaf.count.symbol is None:
                (count,) = (x.count.symbol for x in self._leaves("latents") if x.count.symbol)
                symbols = {s.name: said(Dim.of(s), arrays) or "" for s in leaf.count.symbols}
                ends = [written(leaf.count, symbols | {count.name: "latents"}) or ""]
            places.append(f"{name} = {py.call('torch.arange', *ends, device=device)}")
        summary = (
            f"{self._shapes(self.prefill)}: scores for the token behind a text, of which the last "
            f"`latents` tokens, 1 to {self.latents}, are latents. Then what `{STEP}` goes on from."
        )
        return py.method(
            PREFILL,
            [f"inputs: {TENSORS}", "latents: int", *sizes],
            f"tuple[Tensor, {TENSORS}]",
            summary,
            (EAGERLY, check, fits),
            *inputs.assignments(),
            *places,
            f"cache: {TENSORS} = {{}}",
            *self._body(PREFILL, self.prefill, names),
        )

    def _step(self) -> py.Statement:
        inputs = self.inputs(self.step)
        names = dict(inputs.variables) | {
            leaf.value: "position" for leaf in self.step.graph.inputs if leaf.role == "position"
        }
        summary = (
            f"{self._shapes(self.step)}: scores for the token behind one more, whose place in the text "
            f"is `position` [1]. `cache` is what `{PREFILL}` or the step before has left."
        )
        return py.method(
            STEP,
            [f"inputs: {TENSORS}", "position: Tensor", f"cache: {TENSORS}"],
            f"tuple[Tensor, {TENSORS}]",
            summary,
            (EAGERLY, "self.check_step(inputs, position, cache)"),
            *inputs.assignments(),
            "cache = dict(cache)  # the one that is given stays as it is",
            *self._body(STEP, self.step, names),
        )

    def _check_step(self) -> py.Statement:
        """The method that tells what is wrong with a token, its position, and the cache behind it."""
        inputs, kept = self.inputs(self.step), self._kept
        (count,) = (leaf.count for leaf in self._leaves("latents") if leaf.count.symbol)
        (length,) = (leaf.value.shape[1] for leaf in self._leaves("data") if leaf.of == self.input)
        tokens, latents = "None", "0"
        for name, counted in kept.grown.items():
            if counted == {count}:
                latents = f'sizes["{name}"]'
            elif len(counted) == 1 and (ahead := next(iter(counted)) - length).is_constant:
                tokens = f'sizes["{name}"]' + (f" - {ahead}" if ahead else "")
        batch = f"inputs[{py.quoted(self.input)}].shape[0]"
        sizes = py.call("check_cache", "cache", batch, self.like, "kept")
        more = py.call("check_position", "position", tokens, latents, self.latents, self.longest)
        return inputs.check(
            inputs.leaves,
            self.interface,
            [],
            "check_step",
            more=["position: Tensor", f"cache: {TENSORS}"],
            then=[*kept.written(), f"sizes = {sizes}", more],
        )

    @cached_property
    def _kept(self) -> cache.Shapes:
        """The shapes of what a step reads of the cache."""
        return cache.shapes(self.step.graph, self.prefill.graph, self.output)

    def _shapes(self, program: Program) -> str:
        """What goes in of the text, and the scores that come out."""
        ids = self.inputs(program).data[self.input].shape
        scores = program.graph.outputs[self.output].shape
        return f"{self.input} {format_shape(ids)} -> {self.output} {format_shape(scores)}"

    def _body(self, name: str, program: Program, names: dict[Value, str]) -> Iterator[py.Statement]:
        """The statements of a program, given the variables of its inputs."""
        scores = program.graph.outputs[self.output]
        steps = self.text.steps(Method(name, [program.root]), names)
        atom = partial(self.text.atom, program.root)
        body = Body(steps, atom, names, self.text.reserved | _TAKEN, (scores,))
        yield from body.write()
        yield f"return {body.text(scores)}, cache"

    def _generate(self) -> py.Statement:
        longest = f" of at most {self.longest}" if self.longest else ""
        summary = f"""Go on with texts, at most so many tokens: int64 [batch] each, one by one.

`begin` are the ids of the texts, int64 [batch, length]{longest}. `inputs` are other inputs of the model, \
and the attention mask of the ids if it has one: texts of a batch are as long as each other, filled up in \
front with what the mask leaves out. `temperature` 0 takes the most probable token; `top_p` and `top_k` \
leave out the improbable ones; the same `seed` gives the same text. It ends where each text has had one \
of the ids in `stop`.

What attention has read stays on the device of the model. It computes in eval mode and without gradients, \
whatever the mode of the model. What is wrong is told at once: TypeError, ValueError."""
        settings = py.call("token_sampler", "temperature", "top_p", "top_k", "seed")
        known = self.interface.vocabularies[self.input]
        found = py.call(
            "go_on",
            "self",
            py.quoted(self.input),
            "begin",
            "inputs",
            "tokens",
            "draw",
            stop="stop",
            vocabulary=known,
            latents=self.latents,
            longest=self.longest,
        )
        return py.method(
            "generate",
            [
                "begin: Tensor",
                "tokens: int",
                "*",
                f"inputs: {TENSORS} | None = None",
                "temperature: float = 1.0",
                "top_p: float = 1.0",
                "top_k: int | None = None",
                "seed: int = 0",
                "stop: Collection[int] = ()",
            ],
            "Iterator[Tensor]",
            summary,
            f"draw = {settings}",
            f"return {found}",
        )
