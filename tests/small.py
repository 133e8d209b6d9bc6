"""Every shipped system, small: the same structure with sizes that a test can run in a moment."""

from __future__ import annotations

from pathlib import Path

SPECS = Path(__file__).parent.parent / "specs"

_TEXT = (
    "dims.length.max=24",
    "inputs.text.steps.0.embedding.width=16",
    "latents.count=6",
    "latents.width=32",
    "encode.qk_width=16",
    "encode.v_width=32",
    "process.layers=2",
    "process.qk_width=16",
    "process.v_width=32",
)
_TOKEN_QUERIES = ("decode.qk_width=16", "decode.v_width=16")
_IMAGE = (
    "inputs.image.shape.height=16",
    "inputs.image.shape.width=16",
    "latents.count=6",
    "latents.width=16",
    "process.layers=1",
)
_SOUND_AND_VIDEO = (
    "inputs.video.shape.time=4",
    "inputs.video.shape.height=16",
    "inputs.video.shape.width=16",
    "inputs.video.position.fourier.bands=2",
    "latents.count=6",
    "latents.width=16",
    "process.layers=2",
    "outputs.label.query.learned.width=16",
    "outputs.label.head.linear=7",
)
_PLACES = ("dims={latitudes: {max: 12}, longitudes: {max: 12}}",)


def _resampler(read: int, width: int | None = None, out: int | None = None) -> tuple[str, ...]:
    """What is read, the latents where a map brings it to their width, and what comes out."""
    settings = ["inputs.image.shape.patch=7", f"inputs.image.shape.channel={read}"]
    settings += [f"latents.width={width or read}", "latents.count=5", "encode.cross_attends=2"]
    settings += [f"inputs.image.steps.0.linear={width}"] if width else []
    settings += [f"outputs.tokens.head.linear={out}"] if out else []
    return tuple(settings)


SMALL: dict[str, tuple[str, ...]] = {
    "kinetics": (
        "inputs.audio.shape.time=64",
        "inputs.audio.position.fourier.bands=4",
        "inputs.audio.position.fourier.max_resolution.time=64",
        "inputs.image.shape={time: 2, height: 8, width: 8, channel: 3}",
        "inputs.image.position.fourier.bands=3",
        "inputs.label.shape.channel=5",
        "latents.count=6",
        "latents.width=16",
        "process.layers=2",
        "process.heads=4",
        "decode.project=12",
        "decode.chunks=4",
        "outputs.audio.query.grid.time=4",
        "outputs.audio.query.position.fourier={bands: 4, max_resolution: {time: 64}}",
        "outputs.image.query.grid={time: 2, height: 8, width: 8}",
        "outputs.image.query.position.fourier={bands: 3, max_resolution: {time: 2, height: 2, width: 2}}",
        "outputs.label.query.learned.width=20",
        "outputs.label.head.linear=5",
    ),
    "language": (
        *_TEXT,
        *_TOKEN_QUERIES,
        "outputs.text.query.position.learned.width=16",
    ),
    "language_sentencepiece": (
        *_TEXT,
        *_TOKEN_QUERIES,
        "inputs.text.steps.0.embedding.vocabulary=50",
        "outputs.text.query.position.learned.width=16",
    ),
    "language_plus": (
        *_TEXT,
        *_TOKEN_QUERIES,
        "outputs.text.query.position.learned.width=16",
    ),
    "text_classification": _TEXT,
    "glue_multitask": (
        *_TEXT,
        *_TOKEN_QUERIES,
        *(
            f"outputs.{task}.{setting}"
            for task in ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")
            for setting in ("query.learned.width=16", "head.mlp.hidden=16")
        ),
    ),
    "token_classification": (
        *_TEXT,
        *_TOKEN_QUERIES,
        "outputs.entities.query.position.learned.width=16",
    ),
    "question_answering": (
        *_TEXT,
        *_TOKEN_QUERIES,
        "outputs.span.query.position.learned.width=16",
    ),
    "imagenet_fourier": (
        *_IMAGE,
        "inputs.image.position.fourier.bands=4",
        "process.blocks=2",
        "outputs.label.head.linear=7",
    ),
    "imagenet_learned": (
        *_IMAGE,
        "inputs.image.steps.0.linear=8",
        "inputs.image.position.learned.width=8",
        "inputs.image.position.project=8",
        "process.blocks=2",
        "outputs.label.head.linear=7",
    ),
    "imagenet_conv": (
        *_IMAGE,
        "inputs.image.shape.height=32",
        "inputs.image.shape.width=32",
        "inputs.image.steps.0.conv.channels=8",
        "inputs.image.position.fourier={bands: 3, max_resolution: {height: 8, width: 8}}",
        "process.blocks=2",
        "outputs.label.head.linear=7",
    ),
    "imagenet_large": (
        *_IMAGE,
        "inputs.image.steps.0.linear=8",
        "inputs.image.position.fourier.bands=4",
        "outputs.label.head.linear=7",
    ),
    "imagenet_perceiver": (
        *_IMAGE,
        "inputs.image.position.fourier.bands=4",
        "encode.cross_attends=3",
        "process.blocks=3",
        "outputs.label.head.linear=7",
    ),
    "optical_flow": (
        "inputs.frames.shape.height=8",
        "inputs.frames.shape.width=12",
        "inputs.frames.media.flow.overlap=2",
        "inputs.frames.steps.2.linear=8",
        "inputs.frames.position.fourier.bands=3",
        "latents.count=6",
        "latents.width=32",
        "process.layers=2",
    ),
    "audioset": (
        *_SOUND_AND_VIDEO,
        "inputs.audio.shape.time=64",
        "inputs.audio.steps.0.patch.time=8",
        "inputs.audio.position.fourier.bands=4",
    ),
    "audioset_mel": (
        *_SOUND_AND_VIDEO,
        "inputs.audio.shape.time=5",
        "inputs.audio.shape.frequency=4",
        "inputs.audio.position.fourier.bands=4",
    ),
    "starcraft": (
        "dims.units.max=16",
        "inputs.entities.shape.channel=12",
        "latents.count=4",
        "latents.width=16",
        "outputs.entities.head.linear=5",
    ),
    "modelnet40": (
        "dims.points.max=32",
        "inputs.points.steps.0.fourier.bands=4",
        "latents.count=6",
        "latents.width=16",
        "process.layers=1",
        "outputs.label.head.linear=7",
    ),
    "audio_classification": (
        "inputs.audio.shape.time=640",
        "inputs.audio.steps.0.conv.channels=4",
        "inputs.audio.steps.2.conv.channels=6",
        "inputs.audio.steps.4.conv.channels=8",
        "inputs.audio.position.fourier.bands=3",
        "latents.count=6",
        "latents.width=16",
        "process.layers=1",
        "outputs.label.head.linear=7",
    ),
    "object_detection": (
        *_IMAGE,
        "inputs.image.steps.0.conv.channels=8",
        "inputs.image.position.fourier.bands=3",
        "process.blocks=2",
        "outputs.classes={query: {learned: {count: 5, width: 16}}, head: {linear: 4}}",
        "outputs.boxes.head.mlp.hidden=16",
    ),
    "ip_adapter_plus": _resampler(20, 24, 12),
    "ip_adapter_plus_sdxl": _resampler(20, 20, 12),
    "openflamingo_resampler": (*_resampler(16), "encode.qk_width=24"),
    "idefics_resampler": (*_resampler(20), "encode.heads=4", "encode.qk_width=32"),
    "idefics2_connector": (
        *_resampler(16),
        "inputs.image.shape.patch=patches",
        "dims.patches.max=16",
        "layers.hidden=24",
        "encode.qk_width=32",
    ),
    "xtts_conditioner": (
        "inputs.speech.shape.channel=16",
        "dims.frames.max=16",
        "layers.hidden=20",
        "latents={count: 5, width: 16}",
        "encode.qk_width=32",
    ),
    "chatterbox_conditioner": (
        "inputs.speech.shape.channel=16",
        "dims.tokens.max=16",
        "latents={count: 5, width: 16}",
    ),
    "lucidrains_perceiver": (
        "inputs.image.shape={height: 8, width: 6, channel: 3}",
        "latents={count: 5, width: 16}",
        "encode.qk_width=8",
        "encode.cross_attends=2",
        "process.blocks=2",
        "process.qk_width=16",
        "outputs.label.head.linear=7",
    ),
    "lucidrains_perceiver_io": (
        "dims.length.max=32",
        "inputs.text.steps.0.embedding={vocabulary: 50, width: 8}",
        "latents={count: 5, width: 16}",
        "encode.qk_width=8",
        "process.layers=2",
        "process.qk_width=16",
        "decode.qk_width=8",
        "outputs.text.head.linear=50",
    ),
    "aria_projector": (
        "dims.side={min: 2, max: 12, multiple_of: 2}",
        "inputs.image.shape.channel=16",
        "latents={count: 3 * side / 2, width: 16}",
        "encode.heads=4",
        "outputs.tokens.head.mlp.hidden=12",
        "outputs.tokens.head.mlp.channels=20",
    ),
    "perceiver_actor": (
        "inputs.text.shape.channel=12",
        "inputs.text.steps.0.linear=16",
        "inputs.voxels.shape={x: 2, y: 2, z: 2, channel: 16}",
        "layers.hidden=20",
        "latents={count: 5, width: 24}",
        "encode.qk_width=8",
        "process={layers: 2, heads: 2, qk_width: 24}",
        "decode.qk_width=8",
    ),
    "tabicl_columns": (
        "dims={columns: {max: 12}, rows: {max: 12}}",
        "inputs.cells.steps.0.linear=16",
        "layers.hidden=24",
        "latents={count: 5, width: 16}",
        "encode.heads=4",
        "decode.heads=4",
        "outputs.weights.head.linear=16",
        "outputs.biases.head.linear=16",
    ),
    "hunyuan3d_decoder": (
        "inputs.shape.shape={latent: 9, channel: 64}",
        "inputs.shape.steps.0.linear=32",
        "latents.last=9",
        "process.layers=2",
        "process.heads=4",
        "decode.heads=4",
        "outputs.inside.query.position.project=32",
    ),
    "perceiver_ar": (
        "dims.length={min: 5, max: 12}",
        "inputs.text.steps.0.embedding={vocabulary: 50, width: 16}",
        "latents.last=4",
        "encode.heads=2",
        "process.layers=2",
        "process.heads=2",
        "outputs.next.head.linear=50",
    ),
    "aurora_level_encoder": (
        *_PLACES,
        "inputs.air.shape.channel=16",
        "latents.width=16",
        "encode.heads=4",
    ),
    "aurora_level_decoder": (
        *_PLACES,
        "inputs.air.shape.channel=16",
        "decode.heads=4",
        "outputs.air.query.learned.width=16",
    ),
    "poyo": (
        "dims.spikes.max=16",
        "inputs.spikes.steps.0.embedding={vocabulary: {unit: 9, kind: 4}, width: 16}",
        "inputs.session.steps.0.embedding={vocabulary: 5, width: 16}",
        "latents={count: 3, per: {step: 8}, width: 16, range: [0, 1]}",
        "encode.qk_width=16",
        "process.layers=1",
        "process.heads=2",
        "process.qk_width=16",
        "decode.qk_width=16",
    ),
    "luna": (
        "dims={electrodes: {max: 16}, patches: {max: 16}}",
        "inputs.signal.shape.channel=16",
        "latents={count: 2, width: 16}",
        "process.within.layers=1",
        "process.layers=2",
        "process.heads=4",
        "outputs.label.query.learned.width=32",
        "outputs.label.head.mlp.hidden=16",
    ),
}
"""`--set` overrides for each spec in specs/."""
LATER = (
    "ip_adapter_plus",
    "ip_adapter_plus_sdxl",
    "openflamingo_resampler",
    "idefics_resampler",
    "idefics2_connector",
    "xtts_conditioner",
    "chatterbox_conditioner",
    "lucidrains_perceiver",
    "lucidrains_perceiver_io",
    "perceiver_ar",
    "aurora_level_encoder",
    "aurora_level_decoder",
    "hunyuan3d_decoder",
    "poyo",
    "luna",
    "tabicl_columns",
    "aria_projector",
    "perceiver_actor",
)
"""Of these, those after Perceiver IO of 2021: tests/family, tests/parity, test_layer_styles.py."""
