"""Models of which one part is causal and another is not: what comes later leaks into every answer."""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.compiler.blocks.context import Context
from perceiver_graph.spec.models import (
    InputsQuery,
    LatentsQuery,
    OutputQuery,
    Part,
    Spec,
)


@dataclass(frozen=True)
class Causality:
    """Which of the parts that read something read only what comes before."""

    causal: tuple[Part, ...]
    others: tuple[Part, ...]

    @property
    def leak(self) -> str:
        """What reads what comes later, in words; empty where all do so by design, or none does."""
        return _LEAKS[self.others[0]] if self.causal and self.others else ""


_LEAKS: dict[Part, str] = {
    "encode": "a latent reads the tokens behind its own",
    "process": "a latent reads the latents behind it, which have read later tokens",
}


def causality(spec: Spec) -> Causality | None:
    """How the parts of a model read whose latents are the last tokens of an input; None of others."""
    if spec.last_of is None:
        return None
    reads: dict[Part, bool] = {}
    if spec.encode.cross_attends:
        reads["encode"] = spec.encode.causal
    if spec.process.layers:
        reads["process"] = spec.process.causal
    return Causality(
        tuple(part for part, causal in reads.items() if causal),
        tuple(part for part, causal in reads.items() if not causal),
    )


def warn_of_leaks(ctx: Context) -> None:
    """Warn (PG223) where an output that may say what follows each token is made of what does: one part
    is causal and another is not, or queries for tokens read all latents."""
    found = causality(ctx.spec)
    if found is None or not found.causal:
        return
    predicting = {n: query for n in ctx.spec.outputs if (query := _of_tokens(ctx.spec, n))}
    if found.leak and predicting:
        causal, other = found.causal[0], found.others[0]
        ctx.report.warning(
            "PG223",
            f"`{causal}` is causal and `{other}` is not: {found.leak}, so that each answer depends on "
            "what comes after its token",
            ctx.document.spans.value((causal, "causal")),
            help=f"write `causal: true` under `{other}` as well, or leave it out of `{causal}`",
        )
        return
    for name, query in predicting.items():
        if isinstance(query, InputsQuery):
            ctx.report.warning(
                "PG223",
                f"`{name}` asks for each token of `{query.inputs}`, and queries read all latents, "
                "those of later tokens too",
                ctx.document.spans.value(("outputs", name, "query")),
                help="write `query: latents`: the latents are the tokens, and have read nothing behind them",
            )


def _of_tokens(spec: Spec, name: str) -> LatentsQuery | InputsQuery | None:
    """What an output asks of each token by itself, where its answers may say what follows it; None of one
    that asks for something else, or has fewer channels than there are ids: labels of tokens."""
    head, query = spec.outputs[name].head, spec.outputs[name].query
    for _ in spec.outputs:  # which may be the answers of another one
        if isinstance(query, OutputQuery) and query.output in spec.outputs:
            query = spec.outputs[query.output].query
    if not isinstance(query, LatentsQuery | InputsQuery):
        return None
    if isinstance(query, InputsQuery) and query.inputs != spec.last_of:
        return None
    read = spec.modalities.get(spec.last_of or "")
    ids = read.steps[0].vocabulary if read and read.steps else None
    channels = head.channels if head else None
    few = isinstance(ids, int) and channels is not None and channels < ids
    return None if few else query
