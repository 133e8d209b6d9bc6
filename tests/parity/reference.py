"""The reference side of the parity tests: transformers models, small and full-size, with the specs
that describe the same models.

All parameters are random, also those that training starts at 0 or 1, so that none can be forgotten
without notice.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PerceiverConfig, PerceiverForMultimodalAutoencoding
from transformers.models.perceiver import modeling_perceiver as hf
from transformers.utils import logging

from perceiver_graph.compiler.ir.op import Array

logging.disable_progress_bar()


@dataclass(frozen=True)
class Result:
    """Latents [batch, N, D] and outputs [batch, queries, channels], or [batch, channels]."""

    latents: Array
    outputs: Mapping[str, Array]


@dataclass
class Reference:
    """A transformers model and the spec of the same model."""

    model: nn.Module
    core: hf.PerceiverModel
    spec: str
    channels: Mapping[str, int]
    """Of the outputs that transformers flattens."""

    def save(self, folder: Path) -> Path:
        self.model.save_pretrained(folder)  # type: ignore[operator]
        return folder

    def run(self, data: Mapping[str, Array], queries: Mapping[str, Array]) -> Result:
        """Channels come last in `data`. `queries` has flat positions for all but single queries."""
        tensors = {name: _channels_first(torch.from_numpy(array)) for name, array in data.items()}
        grids = [n for n, d in self.core.decoder.modalities.items() if not _is_learned(d)]
        points = {name: torch.from_numpy(queries[name]) for name in grids}
        with torch.no_grad():
            latents, outputs = self._forward(tensors, points)
        arrays = {
            name: output.numpy().reshape(self._shape(name, output))
            for name, output in outputs.items()
        }
        for name in queries.keys() - points.keys():  # learned queries are always all decoded
            arrays[name] = arrays[name][:, queries[name]]
        return Result(latents.numpy(), arrays)

    def whole(self, data: Mapping[str, Array], parts: Iterable[Mapping[str, Array]]) -> Result:
        """Everything, part by part: the encoder once, then the decoder, which transformers itself
        runs together once for each part."""
        core = self.core
        tensors = {name: _channels_first(torch.from_numpy(array)) for name, array in data.items()}
        found: dict[str, list[Array]] = {}
        with torch.no_grad():
            inputs, _, _ = core.input_preprocessor(tensors)
            latents = core.encoder(core.embeddings(batch_size=len(inputs)), inputs=inputs)[0]
            nothing = dict.fromkeys(core.decoder.modalities, 0)
            for queries in parts:
                points = {name: torch.from_numpy(array) for name, array in queries.items()}
                query = core.decoder.decoder_query(inputs, nothing, None, points)
                counts = {n: len(points[n]) if n in points else 1 for n in core.decoder.modalities}
                decoded = core.decoder(query, latents).logits
                outputs = core.output_postprocessor(decoded, modality_sizes=counts)
                for name, output in outputs.items():
                    array = output.numpy().reshape(self._shape(name, output))
                    found.setdefault(name, []).append(array)
        joined = {n: np.concatenate(a, 1) if n in queries else a[0] for n, a in found.items()}
        return Result(latents.numpy(), joined)

    def double(self) -> Reference:
        """The same model in float64."""
        twin = copy.deepcopy(self)
        twin.model.double()
        return twin

    def _shape(self, name: str, output: torch.Tensor) -> tuple[int, ...]:
        if name in self.channels:
            return len(output), -1, self.channels[name]
        return tuple(output.shape)

    def _forward(
        self, data: Mapping[str, torch.Tensor], points: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        """What `PerceiverModel.forward` does, less the names of outputs that are written out there."""
        core = self.core
        inputs, _, _ = core.input_preprocessor(data)
        latents = core.encoder(core.embeddings(batch_size=len(inputs)), inputs=inputs)[0]
        decoders = core.decoder.modalities
        query_counts = {
            name: len(points[name]) if name in points else _learned_queries(decoder)
            for name, decoder in decoders.items()
        }
        none_of_the_inputs = dict.fromkeys(decoders, 0)  # queries take the batch size from them
        query = core.decoder.decoder_query(inputs, none_of_the_inputs, None, points)
        decoded = core.decoder(query, latents).logits
        return latents, core.output_postprocessor(decoded, modality_sizes=query_counts)

    @contextmanager
    def without(self, modality: str) -> Iterator[None]:
        """Let the mask token stand for a modality."""
        probabilities = self.core.input_preprocessor.mask_probs
        before = probabilities[modality]
        probabilities[modality] = 1.0
        try:
            yield
        finally:
            probabilities[modality] = before


class Autoencoder(Reference):
    """`PerceiverForMultimodalAutoencoding`, through its own forward."""

    def _forward(
        self, data: Mapping[str, torch.Tensor], points: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        found = self.core(inputs=data, subsampled_output_points={**points, "label": None})
        return found.last_hidden_state, found.logits


def _is_learned(decoder: nn.Module) -> bool:
    inner = getattr(decoder, "decoder", decoder)
    return bool(inner.position_encoding_type == "trainable")


def _learned_queries(decoder: nn.Module) -> int:
    found = [p for n, p in decoder.named_parameters() if n.endswith("position_embeddings")]
    return len(found[0])


def _channels_first(array: torch.Tensor) -> torch.Tensor:
    """Images are [batch, height, width, channel] here and [batch, channel, height, width] there."""
    return array.movedim(-1, -3) if array.ndim > 3 else array


def randomise(model: nn.Module, seed: int) -> None:
    """Random values for all parameters and buffers, such that signals neither vanish nor explode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            values = torch.randn(tensor.shape, generator=generator)
            if "norm" in name and name.endswith("weight"):
                values = 1 + 0.2 * values
            elif name.endswith("running_var"):
                values = values.abs() + 0.5
            elif name.endswith(("bias", "running_mean")):
                values = 0.2 * values
            elif name.endswith("weight"):
                gain = 2.0 if ".query." in name or ".key." in name else 1.0  # attention with edges
                values = values * gain / float(np.sqrt(tensor[0].numel()))
            tensor.copy_(values)


@dataclass(frozen=True)
class Sizes:
    """What can be chosen of `PerceiverForMultimodalAutoencoding`; the defaults are tiny."""

    frames: int = 2
    side: int = 8
    """Pixels of an image's side; patches are 4 x 4."""
    samples_per_frame: int = 12
    samples_per_patch: int = 4
    labels: int = 5
    latents: int = 6
    width: int = 16
    layers: int = 2
    blocks: int = 1
    heads: int = 4
    cross_heads: int = 1
    qk_width: int | None = None
    v_width: int | None = None
    by_query: bool = False
    """Cross-attention as wide as what asks, not as what is read; also in the decoder."""
    widening: int = 1
    cross_widening: int = 1
    query_residual: bool = True
    project: int = 8
    label_query: int = 10

    @property
    def audio_patches(self) -> int:
        return self.frames * self.samples_per_frame // self.samples_per_patch

    def spec(self) -> str:
        cross_qk = self.qk_width or (self.width if self.by_query else None)
        samples = self.frames * self.samples_per_frame
        grid = self.side // 4
        query_width = max(385, 195, self.label_query) + 2
        decode_qk = query_width if self.by_query else None
        return f"""
perceiver: 1
name: autoencoder
inputs:
  audio:
    shape: {{time: {samples}, channel: 1}}
    steps: [{{patch: {{time: {self.samples_per_patch}}}}}]
    position: {{fourier: {{bands: 192, max_resolution: {{time: {samples}}}}}}}
  image:
    shape: {{time: {self.frames}, height: {self.side}, width: {self.side}, channel: 3}}
    steps: [{{patch: {{height: 4, width: 4}}}}]
    position: {{fourier: {{bands: 32}}}}
  label:
    shape: {{channel: {self.labels}}}
    mask: always
join: {{padding: {{min: 4}}}}
latents: {{count: {self.latents}, width: {self.width}}}
encode:
  heads: {self.cross_heads}
  widening: {self.cross_widening}
  query_residual: {str(self.query_residual).lower()}
  {_optional(qk_width=cross_qk, v_width=self.v_width)}
process:
  layers: {self.layers}
  blocks: {self.blocks}
  heads: {self.heads}
  widening: {self.widening}
  {_optional(qk_width=self.qk_width, v_width=self.v_width)}
decode:
  heads: 1
  padding: {{min: 2}}
  project: {self.project}
  chunks: 2
  {_optional(qk_width=decode_qk)}
outputs:
  audio:
    query:
      grid: {{time: {self.audio_patches}}}
      position: {{fourier: {{bands: 192, max_resolution: {{time: {samples}}}}}}}
    head: {{linear: {self.samples_per_patch}}}
  image:
    query:
      grid: {{time: {self.frames}, height: {self.side}, width: {self.side}}}
      position:
        fourier:
          bands: 32
          max_resolution: {{time: {self.frames}, height: {grid}, width: {grid}}}
    head: {{linear: 3}}
  label:
    query: {{learned: {{count: 1, width: {self.label_query}}}}}
    head: {{linear: {self.labels}}}
"""

    def config(self) -> PerceiverConfig:
        return PerceiverConfig(
            num_latents=self.latents,
            d_latents=self.width,
            num_blocks=self.blocks,
            num_self_attends_per_block=self.layers,
            num_self_attention_heads=self.heads,
            num_cross_attention_heads=self.cross_heads,
            qk_channels=self.qk_width,
            v_channels=self.v_width,
            cross_attention_shape_for_attention="q" if self.by_query else "kv",
            self_attention_widening_factor=self.widening,
            cross_attention_widening_factor=self.cross_widening,
            use_query_residual=self.query_residual,
            num_labels=self.labels,
            image_size=self.side // 4,
            num_frames=self.frames,
            audio_samples_per_frame=self.samples_per_frame,
            samples_per_patch=self.samples_per_patch,
            output_shape=[1, self.frames, self.side, self.side],
            output_num_channels=self.project,
            _label_trainable_num_channels=self.label_query,
        )


KINETICS = Sizes(
    frames=16,
    side=224,
    samples_per_frame=1920,
    samples_per_patch=16,
    labels=700,
    latents=784,
    width=512,
    layers=8,
    heads=8,
    project=512,
    label_query=1024,
)
"""What specs/kinetics.yaml describes."""


def _optional(**settings: int | None) -> str:
    return "\n  ".join(f"{key}: {value}" for key, value in settings.items() if value is not None)


def autoencoder(sizes: Sizes, seed: int = 0, spec: str | None = None) -> Reference:
    model = PerceiverForMultimodalAutoencoding(sizes.config()).eval()
    randomise(model, seed)
    return Autoencoder(
        model, model.perceiver, spec or sizes.spec(), {"audio": sizes.samples_per_patch}
    )


def composed(build: Callable[[], tuple[hf.PerceiverModel, str]], seed: int = 0) -> Reference:
    """A model put together from the parts that transformers has, with names of its own."""
    model, spec = build()
    model.eval()
    randomise(model, seed)
    return Reference(model, model, spec, {})


def fourier(bands: int, resolution: tuple[int, ...], *, sine_only: bool = False) -> dict[str, Any]:
    """Settings of a Fourier position encoding. Without positions (`concat_pos`), transformers
    loses the batch axis, so that cannot be compared."""
    return {
        "position_encoding_type": "fourier",
        "fourier_position_encoding_kwargs": {
            "num_bands": bands,
            "max_resolution": resolution,
            "sine_only": sine_only,
        },
    }


def learned(count: int, width: int) -> dict[str, Any]:
    return {
        "position_encoding_type": "trainable",
        "trainable_position_encoding_kwargs": {"num_channels": width, "index_dims": count},
    }


def queries(config: PerceiverConfig, grid: tuple[int, ...], **position: Any) -> nn.Module:
    """A decoder that only makes queries."""
    decoder: nn.Module = hf.PerceiverBasicDecoder(
        config,
        output_num_channels=1,
        output_index_dims=grid,
        position_encoding_only=True,
        **position,
    )
    return decoder
