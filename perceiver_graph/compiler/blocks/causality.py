"""Models of which one part is causal and another is not: what comes later leaks into every answer."""

from __future__ import annotations

from dataclasses import dataclass

from perceiver_graph.compiler.blocks.context import Context
from perceiver_graph.spec.models import InputsQuery, Part, Spec, TokenLatents


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
    if not isinstance(spec.latents, TokenLatents):
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
    """Warn (PG223) where one part is causal and another is not, or queries for tokens read all latents."""
    found = causality(ctx.spec)
    if found is None or not found.causal:
        return
    if found.leak:
        causal, other = found.causal[0], found.others[0]
        ctx.report.warning(
            "PG223",
            f"`{causal}` is causal and `{other}` is not: {found.leak}, so that each answer depends on "
            "what comes after its token",
            ctx.document.spans.value((causal, "causal")),
            help=f"write `causal: true` under `{other}` as well, or leave it out of `{causal}`",
        )
        return
    assert isinstance(ctx.spec.latents, TokenLatents)
    for name, output in ctx.spec.outputs.items():
        if isinstance(output.query, InputsQuery) and output.query.inputs == ctx.spec.latents.of:
            ctx.report.warning(
                "PG223",
                f"`{name}` asks for each token of `{output.query.inputs}`, and queries read all latents, "
                "those of later tokens too",
                ctx.document.spans.value(("outputs", name, "query")),
                help="write `query: latents`: the latents are the tokens, and have read nothing behind them",
            )
