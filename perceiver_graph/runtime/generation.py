"""A causal model goes on with a text, token by token.

`prefill` reads the text with as many latents as it may have, and each `step` adds one, as long as there
are less than the most; what attention has read stays on the device. When there are as many, the first
latents would have to make place, and with them all that was read would change: the text is read anew
with half as many, and steps go on (Perceiver AR, arXiv 2202.07765, appendix on caching activations).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.arguments import as_mapping, whole, wrong_kind
from perceiver_graph.diagnostics.calls import answered
from perceiver_graph.diagnostics.commands import setting
from perceiver_graph.media.text.continuing import ENDS, Continuation, begun
from perceiver_graph.media.text.model import TextMedia
from perceiver_graph.runtime import foreign
from perceiver_graph.runtime.feeds import Feeds, check_inputs
from perceiver_graph.runtime.ids import ids_of, not_ids
from perceiver_graph.runtime.programs import Programs, Values
from perceiver_graph.runtime.sampling import SEEDS, Sampling
from perceiver_graph.runtime.sizes import evaluate
from perceiver_graph.spec.manifest import Dimension, Generation, Manifest, Port
from perceiver_graph.spec.programs import PREFILL, STEP

Ids = NDArray[np.int64]
Texts = NDArray[Any] | Sequence[Sequence[int]]
"""The ids of texts, [batch, length]."""


@dataclass(frozen=True)
class Window:
    """How many tokens of a text are read, and how many latents there are, at each token of it."""

    latents: int
    """The most."""
    longest: int | None
    """How long a text may be."""

    def first(self, tokens: int) -> int:
        """Latents of a text that is given."""
        return min(self.latents, tokens)

    def moves(self, tokens: int, latents: int) -> bool:
        """Whether a text is read anew once it has one token more than so many."""
        return latents == self.latents or tokens == self.longest

    def anew(self, tokens: int) -> tuple[int, int]:
        """How many of so many tokens, from the last, are read anew, and with how many latents.

        Half of the most, so that as many can be added. Where that would make the text too long, its
        beginning is left out.
        """
        half = max(self.latents // 2, 1)
        room = self.latents - half
        kept = tokens if self.longest is None else min(tokens, self.longest - room)
        return kept, min(half, kept)


class Generating:
    """What a program does that writes."""

    manifest: Any
    _programs: Programs

    @overload
    def generate(
        self,
        begin: str,
        tokens: int,
        *,
        inputs: Mapping[str, ArrayLike] | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int | None = None,
        seed: int = 0,
        stop: Collection[int] = (),
    ) -> Iterator[str]: ...

    @overload
    def generate(
        self,
        begin: Texts,
        tokens: int,
        *,
        inputs: Mapping[str, ArrayLike] | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int | None = None,
        seed: int = 0,
        stop: Collection[int] = (),
    ) -> Iterator[Ids]: ...

    @answered(foreign.OF_GENERATE)
    def generate(
        self,
        begin: str | Texts,
        tokens: int,
        *,
        inputs: Mapping[str, ArrayLike] | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int | None = None,
        seed: int = 0,
        stop: Collection[int] = (),
    ) -> Iterator[str] | Iterator[Ids]:
        """Go on with a text, at most so many tokens.

        `begin` is the text, of which what follows comes in pieces of whole characters; or its ids,
        int64 [batch, length], and the next ones come, int64 [batch] each. `inputs` are other inputs
        of the model, and the attention mask of the ids: texts of a batch are as long as each other,
        filled up in front with what the mask leaves out. Positions count from the beginning of the row,
        so that, unless they are rotary, a text that is filled up goes on otherwise than alone.
        `temperature` 0 takes the most probable token;
        `top_p` and `top_k` leave out the improbable ones; the same `seed` gives the same text. It ends
        where a text says so itself, or where each of a batch has had one of the ids in `stop`.

        What is wrong is told at once, and not with the first token: DiagnosticError (PG501 to PG505,
        PG514, PG518), TypeError, ValueError.
        """
        sampling = Sampling(temperature, top_p, top_k)
        seed = whole("seed", "a whole number, 0 or more and below 2**64", seed, 0, SEEDS)
        rng = np.random.default_rng(seed)
        tokens = whole("tokens", "a whole number, 0 or more", tokens, 0)
        known = require_writing(self.manifest)
        given = dict(as_mapping("inputs", "a mapping of arrays", {} if inputs is None else inputs))
        if known.text in given:
            raise ValueError(f"inputs has `{known.text}`, which `begin` is: give the other inputs")
        if begin is None or isinstance(begin, Mapping | bytes):
            raise wrong_kind("begin", "a text, or the ids of one: other inputs are `inputs`", begin)
        self._check_stop(known, stop)
        text = begin if isinstance(begin, str) else None
        if text is not None:
            require_text(self.manifest, known)
            begin, stop = [begun(text)], (*stop, *ENDS)
        elif _are_texts(begin):
            raise TypeError(
                "begin must be one text, not several: call generate for each of them, or give their ids "
                "as rows of one array, int64 [batch, length]"
            )
        refuse_longer(known, begin, text)
        if text is None and _are_empty(begin):
            help = "give one at least in each row, for example one that texts begin with: [[1]]"
            raise DiagnosticError.of("PG503", "there is no token to go on with", help=help)
        feeds = check_inputs(any_length(self.manifest, known), {**given, known.text: begin})
        if (mask := feeds.masks.get(known.text)) is not None and not mask[:, -1].all():
            raise DiagnosticError.of(
                "PG514",
                f"the mask of `{known.text}` leaves out the last token of a text, which is to go on",
                help="fill up texts of other lengths in front",
            )
        ids = _Writer(self._programs, known, feeds).write(tokens, sampling, rng, frozenset(stop))
        return ids if text is None else as_text(ids)

    def _check_stop(self, known: Generation, stop: Collection[int]) -> None:
        """A text that is to end at what is no id would not end."""
        if not isinstance(stop, Collection) or isinstance(stop, str | bytes):
            raise wrong_kind("stop", "a collection of ids", stop)
        entry = self.manifest.inputs[known.text]
        for one in stop:
            number = whole("stop", "a collection of ids, whole numbers", one)
            if not_ids(entry, np.array(number)):
                raise ValueError(
                    f"stop: {number} is no id of {known.text}, which are {ids_of(entry)}"
                )


def refuse_longer(known: Generation, ids: str | Texts, text: str | None) -> None:
    """Raise DiagnosticError (PG514) for a text that is longer than the model takes."""
    rows = np.atleast_1d(np.asarray(ids, object))
    length = max((len(row) for row in rows if isinstance(row, Sized)), default=0)
    if known.longest is not None and length > known.longest:
        what = "the text" if text is not None else f"`{known.text}`"
        raise DiagnosticError.of(
            "PG514",
            f"{what} is too long: {length} ids, and the model goes on with at most {known.longest}",
            notes=["each byte of the text is an id, and [CLS] is one as well"] if text else [],
            help="shorten the text, or go on with the last part of it",
        )


def _are_texts(begin: Any) -> bool:
    """Whether these are several texts, and no ids."""
    found = np.asarray(begin, object)
    return found.ndim == 1 and found.size > 0 and all(isinstance(one, str) for one in found)


def _are_empty(begin: Any) -> bool:
    """Whether these are rows without an id."""
    found = np.asarray(begin, object)  # rows of other lengths are looked at later
    return found.ndim == 2 and not found.size


def as_text(ids: Iterator[Ids]) -> Iterator[str]:
    """The text of ids of a batch of one, in whole characters."""
    found = Continuation()
    for (one,) in ids:
        if one not in ENDS and (piece := found.add(int(one))):
            yield piece
    if rest := found.end():
        yield rest


def require_writing(manifest: Manifest) -> Generation:
    """How a model writes. Raises DiagnosticError (PG518) for one that does not."""
    known = manifest.generation
    if known is not None and known.refused is None:
        return known
    shows = "`perceiver-graph explain PG518` shows one"
    if known is not None:
        raise DiagnosticError.of(
            "PG518",
            f"{manifest.name} writes no text: {known.refused}",
            help=f"change that in the spec, and compile it again; {shows} that writes",
        )
    raise DiagnosticError.of(
        "PG518",
        f"{manifest.name} writes no text: its latents are not the last tokens of one, each of which "
        "reads what came before it alone",
        help=f"compile a causal model: {shows}",
    )


def require_text(manifest: Manifest, known: Generation) -> None:
    """Raises DiagnosticError (PG518) where nothing says how a text becomes ids."""
    if not isinstance(manifest.inputs[known.text].media, TextMedia):
        raise DiagnosticError.of(
            "PG518",
            f"{manifest.name} goes on with ids, and a text is given: its input `{known.text}` says "
            "nothing of how a text becomes ids",
            help=f"give ids: {setting('--inputs', 'FILE.npz', 'program.generate([[5, 8]], 20)')}; or write "
            f"`media: {{text: {{}}}}` at {quote(known.text)} and compile again",
        )


def any_length(manifest: Manifest, known: Generation, more: int = 0) -> Manifest:
    """The manifest where a text may be as short as one token, and longer by some that are left out."""
    (symbol,) = manifest.inputs[known.text].shape[1:]
    dims = {**manifest.dims, str(symbol): Dimension(max=known.longest and known.longest + more)}
    return manifest.model_copy(update={"dims": dims})


class _Writer:
    """A text as far as it has come."""

    def __init__(self, programs: Programs, known: Generation, feeds: Feeds) -> None:
        self._programs = programs
        self._known = known
        self._feeds = feeds
        self._window = Window(known.latents, known.longest)
        self._ids: Ids = feeds.arrays[known.text]
        self._mask = feeds.masks.get(known.text)
        self._latents = self._window.first(self._ids.shape[1])
        self._state: Values = {}
        places = [p.shape[0] for p in programs[PREFILL].inputs if p.role == "latents"]
        self._latents_symbol = next(str(one) for one in places if str(one).isidentifier())

    def write(
        self, tokens: int, sampling: Sampling, rng: np.random.Generator, stop: frozenset[int]
    ) -> Iterator[Ids]:
        """The next tokens, int64 [batch] each."""
        ended: Ids | None = None
        for number in range(tokens):
            scores = self._read_next() if number else self._read()
            if not np.isfinite(scores).all():
                raise DiagnosticError.of(
                    "PG519", "the scores of the next token are not all finite: numbers overflowed"
                )
            found = sampling.draw(scores, rng)
            if stop:
                ended = np.full_like(found, -1) if ended is None else ended
                found = np.where(ended < 0, found, ended)  # a text that has ended stays so
                ended = np.where(np.isin(found, [*stop]), found, -1)
            self._add(found)
            yield found
            if ended is not None and (ended >= 0).all():
                return

    def _add(self, found: Ids) -> None:
        self._ids = np.concatenate([self._ids, found[:, None]], axis=1)
        if self._mask is not None:
            there = np.ones((len(found), 1), bool)
            self._mask = np.concatenate([self._mask, there], axis=1)

    def _read_next(self) -> NDArray[np.float32]:
        """The scores behind the token that was added: of a step, or of all that is read anew."""
        tokens = self._ids.shape[1]
        if not self._window.moves(tokens - 1, self._latents):
            return self._step()
        kept, self._latents = self._window.anew(tokens)
        self._ids = self._ids[:, -kept:]
        self._mask = None if self._mask is None else self._mask[:, -kept:]
        return self._read()

    def _read(self) -> NDArray[np.float32]:
        tokens, known = self._ids.shape[1], self._known
        arrays = {**self._feeds.arrays, known.text: self._ids}
        masks = self._feeds.masks
        if self._mask is not None:
            masks = {**masks, known.text: self._mask}
        sizes = {**self._feeds.sizes, self._length: tokens}
        feeds = replace(self._feeds, arrays=arrays, masks=masks, sizes=sizes)
        return self._run(PREFILL, feeds, {})

    def _step(self) -> NDArray[np.float32]:
        known = self._known
        self._latents += 1
        arrays = {known.text: np.ascontiguousarray(self._ids[:, -1:])}
        masks = {} if self._mask is None else {known.text: self._mask[:, -1:].copy()}
        feeds = replace(self._feeds, arrays=arrays, masks=masks)
        return self._run(STEP, feeds, self._state)

    @property
    def _length(self) -> str:
        entry = next(p for p in self._programs[PREFILL].inputs if p.of == self._known.text)
        return str(entry.shape[1])

    def _run(self, name: str, feeds: Feeds, state: Values) -> NDArray[np.float32]:
        ports = self._programs[name].inputs
        sizes = dict(feeds.sizes)
        for port in ports:
            if port.role == "state":
                pairs = zip(port.shape, state[port.of].shape(), strict=True)
                sizes |= {size: n for size, n in pairs if isinstance(size, str)}
        given = {p.name: self._given(p, feeds, sizes) for p in ports if p.role != "state"}
        output = self._known.output or ""
        found, self._state = self._programs.run(name, given, state, sizes, fetch=[output])
        scores: NDArray[np.float32] = found[output].numpy()[:, 0]
        return scores

    def _given(self, port: Port, feeds: Feeds, sizes: dict[str, int]) -> NDArray[Any] | None:
        """What goes into a port of a program that is no state."""
        (count, *_) = port.shape
        if port.role == "position":
            return np.array([self._ids.shape[1] - 1])
        if port.role != "latents":
            return feeds.get(port.role, port.of)
        if count == self._latents_symbol:  # the last, from the end
            sizes[str(count)] = self._latents
            return np.arange(-self._latents, 0)
        return np.arange(evaluate(count, {**sizes, self._latents_symbol: self._latents}))
