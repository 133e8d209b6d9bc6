"""The table of systems in the README: every shipped spec, its sizes and what it was checked against."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from perceiver_graph.cli.inspection import Inspection
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.spec import load_spec

SPECS = Path(__file__).parents[1] / "specs"

EQUATIONS = "the papers' equations"
"""An independent numpy transcription of what DeepMind's code computes: tests/deepmind."""
BACKENDS = "numpy, ONNX and PyTorch with each other"
"""No reference implementation exists: tests/test_systems.py."""
FIGURES = Path(__file__).parents[1] / "tests" / "family" / "figures.json"
"""What `make test-family` measured."""


@dataclass(frozen=True)
class System:
    """A shipped spec: the page on its task, and the reference that its numbers were compared with."""

    page: str
    checked: str


def _transformers(model_class: str) -> str:
    return f"transformers `Perceiver{model_class}`, full size"


def _measured(name: str) -> str:
    """The modules of libraries that a spec was compared with, and the worst difference at its size."""
    found = json.loads(FIGURES.read_text(encoding="utf-8")).values()
    return "; ".join(
        f"{f['reference']} `{f['class']}`: {f['published']:.0e} of the largest output"
        for f in found
        if f["spec"] == name
    )


def _family(page: str, *names: str) -> dict[str, System]:
    """Systems of one page that libraries have."""
    return {name: System(page, _measured(name)) for name in names}


SYSTEMS = {
    "kinetics": System("kinetics", _transformers("ForMultimodalAutoencoding")),
    "language": System("language", _transformers("ForMaskedLM")),
    "language_sentencepiece": System("language", EQUATIONS),
    "language_plus": System("language", EQUATIONS),
    "text_classification": System(
        "text_classification", _transformers("ForSequenceClassification")
    ),
    "glue_multitask": System("glue_multitask", EQUATIONS),
    "token_classification": System("token_classification", BACKENDS),
    "question_answering": System("question_answering", BACKENDS),
    "imagenet_fourier": System("imagenet", _transformers("ForImageClassificationFourier")),
    "imagenet_learned": System("imagenet", _transformers("ForImageClassificationLearned")),
    "imagenet_conv": System("imagenet", _transformers("ForImageClassificationConvProcessing")),
    "imagenet_large": System("imagenet", EQUATIONS),
    "imagenet_perceiver": System("imagenet", EQUATIONS),
    "optical_flow": System("optical_flow", _transformers("ForOpticalFlow")),
    "audioset": System("audioset", EQUATIONS),
    "audioset_mel": System("audioset", EQUATIONS),
    "starcraft": System("starcraft", EQUATIONS),
    "modelnet40": System("modelnet40", EQUATIONS),
    "audio_classification": System("audio_classification", BACKENDS),
    "object_detection": System("object_detection", BACKENDS),
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
    lines = [
        "| spec | inputs | latents | queries | parameters | GFLOP | dialect | checked against |",
        "|---|---:|---:|---:|---:|---:|---|---|",
    ]
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
