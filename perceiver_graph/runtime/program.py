"""A compiled model that runs: encode once, then decode any queries from what encode left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.choices import DeviceName, Verify
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.arguments import as_path, one_of, whole, wrong_kind
from perceiver_graph.diagnostics.calls import Answering, answered
from perceiver_graph.diagnostics.commands import command
from perceiver_graph.runtime import chunks, foreign, regions
from perceiver_graph.runtime.arrays import overflow_notes
from perceiver_graph.runtime.artifact import Artifact, open_artifact
from perceiver_graph.runtime.attention import Attending
from perceiver_graph.runtime.contents import Progress
from perceiver_graph.runtime.coordinates import Points
from perceiver_graph.runtime.cut import cut
from perceiver_graph.runtime.devices import Device
from perceiver_graph.runtime.engines import ENGINES, Engine, choose
from perceiver_graph.runtime.feeds import Feeds, check_inputs
from perceiver_graph.runtime.generation import Generating
from perceiver_graph.runtime.programs import Programs, Values
from perceiver_graph.runtime.queries import Asked, Selection, chunk_of, count_of, resolve
from perceiver_graph.runtime.read import Reads
from perceiver_graph.runtime.sizes import evaluate
from perceiver_graph.runtime.telling import Note, ignore, tell, warn
from perceiver_graph.spec.glance import Glance, Glanced
from perceiver_graph.spec.manifest import SPEC_NAME, Manifest, ports
from perceiver_graph.spec.programs import ASKED

Results = dict[str, NDArray[np.float32]]
LATENTS = "latents"
_BYTES = "a number of bytes, for example 2 * 2**30"


@answered(foreign.OF_LOAD)
def load(
    path: str | Path,
    *,
    device: DeviceName = "auto",
    engine: str = "auto",
    threads: int | None = None,
    verify: Verify = "always",
    share_weights: bool = False,
    progress: Progress | None = None,
) -> Program:
    """Open a compiled folder, check its files and get ready to run it.

    `device` is auto, cpu or cuda; `engine` is auto (what was measured to be the fastest on such a
    processor), onnxruntime or openvino; `threads` are those of the CPU, by default as many as
    OMP_NUM_THREADS says, else one a core; with `verify="once"` files that were read in full before, and
    have not changed since, are not read again to compare their digests; with `share_weights`,
    processes of this machine that run the artifact have its weights in memory once, from a file in the
    cache of this user (onnxruntime on a CPU, which `auto` then is); `progress` is told the bytes checked.
    Raises DiagnosticError (PG401 to PG406, PG601, PG602, PG608).
    """
    one_of("verify", get_args(Verify), verify)
    directory = as_path("path", "the folder of an artifact", path)
    artifact = open_artifact(directory, progress=progress, verify=verify)
    if not artifact.manifest.programs:
        written = ", ".join(artifact.manifest.backends) or "none"
        raise DiagnosticError.of(
            "PG406",
            f"{artifact.directory} has no ONNX programs to run (backends: {written})",
            help="write some of the same weights: "
            + command("compile", directory / SPEC_NAME, "--weights", directory, "-o", "DIR"),
        )
    if share_weights and engine == "auto":
        engine = "onnxruntime"
    chosen = choose(engine, artifact, device, threads)
    place = replace(chosen.device, shares=share_weights)
    return Program(artifact, place, chosen.engine, chosen.why)


class State(Glanced, Answering):
    """What encode leaves for decode: opaque, and in the memory of the device.

    `notes` say what of the inputs was left out.
    """

    _instead = foreign.OF_STATES

    def __init__(
        self,
        owner: Program,
        values: Values,
        sizes: dict[str, int],
        notes: tuple[str, ...],
        points: Points,
    ) -> None:
        self.notes = notes
        self._owner = owner
        self._values = values
        self._sizes = sizes
        self._points = points

    def _glance(self) -> Glance:
        owner = self._owner
        batch = f"{self.batch} batch element{'' if self.batch == 1 else 's'}"
        heading = f"State of {owner.manifest.name} on {owner.device.name}: {batch}"
        rows = [
            (name, f"{value.data_type()} {list(value.shape())}")
            for name, value in self._values.items()
        ]
        return Glance(heading, (*rows, *(("note", note) for note in self.notes)))

    def __reduce__(self) -> Any:
        raise TypeError(
            "a State cannot be pickled or copied: it lies in the memory of the device, for the "
            "program that encoded it. Hand over the inputs and encode them there, or `.latents`"
        )

    @property
    def batch(self) -> int:
        """The number of batch elements."""
        return self._sizes.get("batch", 1)

    @property
    def latents(self) -> NDArray[np.float32]:
        """The latent array, float32 [batch, latents, channels]."""
        return self._array(LATENTS)

    def _array(self, name: str) -> NDArray[np.float32]:
        return cast(NDArray[np.float32], self._values[name].numpy())


class Program(Generating, Attending, Reads, Glanced, Answering):
    """A model on a device. Calls may have any batch size and sizes that the spec permits."""

    _instead = foreign.OF_PROGRAMS
    __getitem__ = foreign.refuse_item

    def __init__(
        self,
        artifact: Artifact,
        device: Device,
        engine: Engine = ENGINES["onnxruntime"],
        why: str = "",
    ) -> None:
        self.artifact = artifact
        self.device = device
        self.engine = engine
        self.why = why
        """Why it is this engine."""
        self._programs = Programs(artifact, device, engine)

    def _glance(self) -> Glance:
        manifest = self.manifest
        by = f" by {self.engine.title}" if self.engine.name != "onnxruntime" else ""
        where = f"{manifest.precision} on {self.device.name}{by}, from {self.artifact.directory}"
        rows = ports(manifest.inputs, manifest.outputs)
        return Glance(f"Program {manifest.name}: {where}", tuple(rows))

    def __reduce__(self) -> Any:
        """Pickle as the path of the artifact, which is opened and checked anew where it is loaded."""
        return _again, (
            self.artifact.place,
            self.device.name,
            self.device.threads,
            self.artifact.digest,
            self.engine.name,
            self.device.shares,
        )

    @property
    def manifest(self) -> Manifest:
        """What the artifact says of itself: inputs and outputs with their axes, and more."""
        return self.artifact.manifest

    @answered(foreign.OF_RUN, foreign.inputs_in_one)
    def run(
        self,
        inputs: Mapping[str, ArrayLike],
        decode: Mapping[str, Selection] | None = None,
        *,
        sizes: Mapping[str, int] | None = None,
        memory: int | None = None,
        progress: Progress | None = None,
        note: Note | None = None,
    ) -> Results:
        """Encode the inputs and decode the outputs asked for: `encode`, then `decode`.

        `sizes` are those of symbols that no input says, by name; left out, each is the largest.
        `note` is called with what was filled in, and with outputs that are not finite; without it,
        numbers that are hardly what was meant are a warning. Raises DiagnosticError as these do.
        """
        feeds = check_inputs(self.manifest, inputs, sizes)
        warn(feeds.doubts, note)
        memory = memory if memory is None else whole("memory", _BYTES, memory, 0)
        parts = regions.parts(self.manifest, feeds.sizes, memory)
        memory = None if self.manifest.places else memory  # it is enough, and more than for a part
        # Encoding takes long: what decode would refuse is refused before it.
        asked, _ = resolve(self.manifest, feeds.sizes, decode, feeds.points)
        self._chunks(feeds.sizes, asked, memory)
        tell(feeds.notes, note)
        if parts:
            run = partial(self.run, decode=decode, sizes=sizes, note=ignore)
            results = regions.each(self.manifest, parts, inputs, run, progress)
        else:
            state = self._encoded(feeds, memory)
            results = self.decode(state, decode, memory=memory, progress=progress)
        if note is not None:
            for text in overflow_notes(results):  # which looks at every value
                note(text)
        return results

    __call__ = run

    @answered(instead=foreign.inputs_in_one)
    def encode(
        self,
        inputs: Mapping[str, ArrayLike],
        *,
        sizes: Mapping[str, int] | None = None,
        note: Note | None = None,
    ) -> State:
        """Read the inputs into the latents.

        `inputs` has an array by the name of each input, with the axes of the manifest, batch first.
        One that may be masked can be left out; so can the attention mask of an input, an array
        called `NAME.attention_mask` (bool, or 0 and 1). Points that an output is asked at, an array
        called `OUTPUT.points`, are kept for decode. `sizes` and `note` are as for `run`. Raises
        DiagnosticError (PG501 to PG505, PG514, PG516, PG517, PG603) with everything that is wrong.
        """
        feeds = check_inputs(self.manifest, inputs, sizes)
        warn(feeds.doubts, note)
        tell(feeds.notes, note)
        return self._encoded(feeds)

    def _encoded(self, feeds: Feeds, memory: int | None = None) -> State:
        less = cut(self.manifest, feeds)
        given = {
            port.name: less.get(port.role, port.of) for port in self._programs["encode"].inputs
        }
        # Encoding takes more memory than decoding a chunk. Where there is little, it is not kept while
        # chunks are decoded; to get it anew for the next inputs takes a quarter of the time again.
        little = memory is not None or self.manifest.memory is not None
        scarce = little and "decode" in self.manifest.programs
        _, state = self._programs.run("encode", given, {}, less.sizes, give_back=scarce)
        # Decoded later, when the caller may have written into the array.
        points = {name: array.copy() for name, array in feeds.points.items()}
        return State(self, state, feeds.sizes, feeds.notes, points)

    @answered()
    def decode(
        self,
        state: State,
        outputs: Mapping[str, Selection] | None = None,
        *,
        memory: int | None = None,
        progress: Progress | None = None,
    ) -> Results:
        """Answer queries from an encoded state.

        `outputs` maps names to a slice or a list of flat query positions, or to None for all; by
        default everything is decoded. Whole outputs, float32, have the axes of the manifest; chosen
        queries come as [batch, positions, channel] in the order given. An output that is asked at
        points takes them here, `{"inside": array}`, float32 [points, coordinates] or [batch, points,
        coordinates]; else those of the inputs are asked. Queries are decoded in the
        number of chunks that the spec says or, with `memory` in bytes, in chunks that fit it.
        Raises DiagnosticError (PG501, PG503 to PG506, PG510, PG517, PG603).
        """
        if not isinstance(state, State):
            raise wrong_kind("state", "the State that encode returns", state)
        if state._owner is not self:
            raise ValueError("the state was encoded by another program")
        memory = memory if memory is None else whole("memory", _BYTES, memory, 0)
        asked, points = resolve(self.manifest, state._sizes, outputs, state._points)
        results = {name: np.empty(one.flat, np.float32) for name, one in asked.items()}
        computed = {port.of for port in self._programs["decode"].outputs}
        late = {name: one for name, one in asked.items() if name in computed}
        for name in asked.keys() - late.keys():  # encode has computed them
            batch, places, _, channels = asked[name].flat
            values = state._array(name).reshape(batch, places, -1, channels)
            results[name][:] = values[:, :, asked[name].positions]
        late = {name: one for name, one in late.items() if len(one.positions)}  # points: maybe none
        if late:
            self._decode_chunks(state, late, points, results, memory, progress)
        return {name: results[name].reshape(asked[name].shape) for name in asked}

    def _chunks(
        self, sizes: Mapping[str, int], asked: Mapping[str, Asked], memory: int | None
    ) -> chunks.Chunks:
        """How the queries that are asked for go into chunks."""
        ports = self._programs["decode"].inputs
        queries = [port.of for port in ports if port.role in ASKED]
        counts = {name: len(asked[name].positions) for name in queries if name in asked}
        counts = {name: count for name, count in counts.items() if count}
        sizes = {count_of(p): counts.get(p.of, 1) for p in ports if p.role == "points"} | {**sizes}
        cached = self.device.name == "cpu"
        limit = chunks.chunk_limit(self.manifest, sizes, counts, memory, cached=cached)
        return chunks.fewest(counts, limit)

    def _decode_chunks(
        self,
        state: State,
        asked: Mapping[str, Asked],
        points: Points,
        results: Results,
        memory: int | None,
        progress: Progress | None,
    ) -> None:
        """Run decode for chunk after chunk; each writes its part of the results."""
        ports = self._programs["decode"].inputs
        queries = [port for port in ports if port.role in ASKED]
        divided = self._chunks(state._sizes, asked, memory)
        sizes = state._sizes | {count_of(p): divided.sizes.get(p.of, 1) for p in queries}
        known = {}
        for port in (p for p in ports if p.role in ("size", "grid")):
            held: list[int | str] = [port.of]
            if port.role == "grid":
                held = self.manifest.outputs[port.of].asked
            known[port.name] = np.array([evaluate(n, state._sizes) for n in held], np.int64)
        values = state._values
        # Outputs of a single learned query do not depend on the chunk: the first one has them.
        pending = {name: (0, len(one.positions)) for name, one in asked.items()}
        pending = {name: span for name, span in pending.items() if name not in divided.counts}
        for done, parts in enumerate(divided):
            given = {p.name: chunk_of(p, asked, points, parts, sizes) for p in queries}
            wanted = parts | pending
            found, values = self._programs.run("decode", known | given, values, sizes, fetch=wanted)
            for name, (start, stop) in wanted.items():
                rows = found[name].numpy()
                rows = rows.reshape(state.batch, asked[name].places, -1, rows.shape[-1])
                results[name][:, :, start:stop] = rows[:, :, : stop - start]
            pending = {}
            if progress is not None:
                progress(done + 1, divided.chunks)


def _again(
    path: Path, device: DeviceName, threads: int, digest: str, engine: str, shares: bool = False
) -> Program:
    """A program that was pickled. Raises DiagnosticError (PG402) where it is another one by now."""
    program = load(path, device=device, engine=engine, threads=threads, share_weights=shares)
    if program.artifact.digest != digest:
        raise DiagnosticError.of(
            "PG402",
            f"{path} is not the artifact that was pickled: it was replaced since",
            help="load it anew where it is used: perceiver_graph.load(PATH)",
        )
    return program
