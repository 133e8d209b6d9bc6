"""The table of systems in the README: every shipped spec, its sizes and what it was checked against."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perceiver_graph.cli.inspection import Inspection
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.spec import load_spec

SPECS = Path(__file__).parents[1] / "specs"

TESTS = Path(__file__).parents[1] / "tests"
FIGURES = json.loads((TESTS / "figures.json").read_text(encoding="utf-8"))
"""What tests of the systems of the papers measured: `make figures`."""
FAMILY = json.loads((TESTS / "family" / "figures.json").read_text(encoding="utf-8"))
"""What `make test-family` measured of those that libraries have."""
EQUATIONS = "the papers' equations, small"
"""An independent numpy transcription of what DeepMind's code computes: tests/deepmind."""
BACKENDS = "numpy, ONNX and PyTorch with each other, small"
"""No reference implementation exists: tests/test_systems.py."""


@dataclass(frozen=True)
class System:
    """A shipped spec: the page on its task, and the reference that its numbers were compared with."""

    page: str
    checked: str


def _transformers(page: str, **classes: str) -> dict[str, System]:
    """Systems that transformers has, compared at full size."""
    found = FIGURES["transformers"]
    return {
        name: System(page, f"{found[name]['version']} `Perceiver{of}`: {_share(found[name])}")
        for name, of in classes.items()
    }


def _transcribed(page: str, *names: str) -> dict[str, System]:
    """Systems of DeepMind's code alone."""
    found = FIGURES["equations"]
    return {name: System(page, f"{EQUATIONS}: {_share(found[name])}") for name in names}


def _by_itself(name: str) -> dict[str, System]:
    """A system that nothing else has, on the page of its name."""
    return {name: System(name, f"{BACKENDS}: {_share(FIGURES['backends'][name])}")}


def _family(page: str, *names: str) -> dict[str, System]:
    """Systems of one page that libraries have, with the worst of what was measured in float32: at
    published size and in random configurations, of ONNX programs and PyTorch modules."""
    return {
        name: System(
            page,
            "; ".join(
                f"{f['reference']} `{f['class']}`: {max(f['published'], f['drawn']):.0e}"
                for f in FAMILY.values()
                if f["spec"] == name
            ),
        )
        for name in names
    }


def _share(figure: dict[str, Any]) -> str:
    return f"{figure['difference']:.0e}"


SYSTEMS = {
    **_transformers("kinetics", kinetics="ForMultimodalAutoencoding"),
    **_transformers("language", language="ForMaskedLM"),
    **_transcribed("language", "language_sentencepiece", "language_plus"),
    **_transformers("text_classification", text_classification="ForSequenceClassification"),
    **_transcribed("glue_multitask", "glue_multitask"),
    **_by_itself("token_classification"),
    **_by_itself("question_answering"),
    **_transformers(
        "imagenet",
        imagenet_fourier="ForImageClassificationFourier",
        imagenet_learned="ForImageClassificationLearned",
        imagenet_conv="ForImageClassificationConvProcessing",
    ),
    **_transcribed("imagenet", "imagenet_large", "imagenet_perceiver"),
    **_transformers("optical_flow", optical_flow="ForOpticalFlow"),
    **_transcribed("audioset", "audioset", "audioset_mel"),
    **_transcribed("starcraft", "starcraft"),
    **_transcribed("modelnet40", "modelnet40"),
    **_by_itself("audio_classification"),
    **_by_itself("object_detection"),
    **_family(
        "resamplers",
        "ip_adapter_plus",
        "ip_adapter_plus_sdxl",
        "openflamingo_resampler",
        "idefics_resampler",
        "idefics2_connector",
        "aria_projector",
    ),
    **_family("voices", "xtts_conditioner", "chatterbox_conditioner"),
    **_family("perceiver_pytorch", "lucidrains_perceiver", "lucidrains_perceiver_io"),
    **_family("tables", "tabicl_columns"),
    **_family("robots", "perceiver_actor"),
    **_family("shapes", "hunyuan3d_decoder"),
    **_family("next_token", "perceiver_ar"),
    **_family("levels", "aurora_level_encoder", "aurora_level_decoder"),
    **_family("spikes", "poyo"),
    **_family("brain_waves", "luna"),
}
"""In the order of the table; a test finds the comparisons."""


def table() -> str:
    """The table as Markdown. Sizes are those of the longest text and the largest set."""
    titles = "spec", "inputs", "latents", "queries", "parameters", "GFLOP", "dialect"
    heading = f"| {' | '.join(titles)} | checked against: worst difference |"
    lines = [heading, "|---|---:|---:|---:|---:|---:|---|---|"]
    for name, system in SYSTEMS.items():
        lowered = lower(load_spec(SPECS / f"{name}.yaml"))
        inspection = Inspection(lowered, lowered.graph)
        data = inspection.as_json()
        cells = [
            f"[`{name}`](docs/tasks/{system.page}.md)",
            _array(data["input_array"]),
            _array(data["latents"]),
            asked(lowered, data["total_queries"], data["query_array"][1]),
            f"{data['parameters']:,}",
            f"{data['flops'] / 1e9:,.0f}" if data["flops"] > 1e10 else f"{data['flops'] / 1e9:.1f}",
            lowered.document.spec.dialect,
            system.checked,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def asked(lowered: Lowered, count: int, width: int) -> str:
    """The query array, `points` of the caller's for their number; where nothing is asked, what becomes
    of the latents: `mean`, `latents`."""
    queries = [output.query.key for output in lowered.document.spec.outputs.values()]
    if count:
        return f"points x {width}" if queries == ["points"] else _array([count, width])
    return ", ".join(dict.fromkeys(queries))


def _array(sizes: list[int]) -> str:
    return " x ".join(map(str, sizes))
