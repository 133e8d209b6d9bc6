"""Models with other modalities than the published ones, put together from the parts of transformers.

Between them: every kind of preprocessor, several heads in the decoder, masks of all three kinds,
one and several learned queries, projected positions, a single modality, equal widths.
"""

from __future__ import annotations

from torch import nn
from transformers import PerceiverConfig
from transformers.models.perceiver import modeling_perceiver as hf

from tests.parity.reference import fourier, learned, queries


def sensors() -> tuple[hf.PerceiverModel, str]:
    """Radio, a tag that is always masked, and depth: in the spec in another order than transformers'."""
    config = PerceiverConfig(
        num_latents=7,
        d_latents=12,
        num_self_attends_per_block=2,
        num_self_attention_heads=3,
        num_cross_attention_heads=1,
        num_labels=6,
        samples_per_patch=3,
    )
    inputs = {
        "depth": hf.PerceiverImagePreprocessor(
            config,
            prep_type="patches",
            in_channels=2,
            spatial_downsample=2,
            temporal_downsample=1,
            **fourier(4, (5, 7)),
        ),
        "radio": hf.PerceiverAudioPreprocessor(
            config, samples_per_patch=3, **fourier(6, (40,), sine_only=True)
        ),
        "tag": hf.PerceiverOneHotPreprocessor(config),
    }
    outputs = {
        "echo": queries(config, (9,), **fourier(5, (20,))),
        "scene": queries(config, (4, 6), **fourier(3, (4, 6), sine_only=True)),
        "slots": queries(config, (5,), **learned(5, 8)),
    }
    decoder = hf.PerceiverMultimodalDecoder(
        config,
        modalities=outputs,
        num_outputs=None,
        output_num_channels=10,
        min_padding_size=3,
        num_heads=2,
        qk_channels=8,
        v_channels=14,
        widening_factor=2,
        use_query_residual=True,
    )
    heads = {
        name: hf.PerceiverProjectionPostprocessor(10, channels)
        for name, channels in (("echo", 3), ("scene", 2), ("slots", 4))
    }
    return (
        _model(config, inputs, {"depth": 0.0, "tag": 1.0}, 5, decoder, heads),
        """
perceiver: 1
name: sensors
inputs:
  radio:
    shape: {time: 15, channel: 1}
    steps: [{patch: {time: 3}}]
    position: {fourier: {bands: 6, max_resolution: {time: 40}, sine_only: true}}
    mask: never
  tag:
    shape: {channel: 6}
    mask: always
  depth:
    shape: {row: 6, column: 8, channel: 2}
    steps: [{patch: {row: 2, column: 2}}]
    position: {fourier: {bands: 4, max_resolution: {row: 5, column: 7}}}
join: {padding: {min: 5}}
latents: {count: 7, width: 12}
process: {layers: 2, heads: 3}
decode:
  heads: 2
  qk_width: 8
  v_width: 14
  widening: 2
  query_residual: true
  padding: {min: 3}
  project: 10
outputs:
  echo:
    query: {grid: {time: 9}, position: {fourier: {bands: 5, max_resolution: {time: 20}}}}
    head: {linear: 3}
  scene:
    query:
      grid: {row: 4, column: 6}
      position: {fourier: {bands: 3, sine_only: true}}
    head: {linear: 2}
  slots:
    query: {learned: {count: 5, width: 8}}
    head: {linear: 4}
""",
    )


def cameras() -> tuple[hf.PerceiverModel, str]:
    """A convolutional stem, a 1 x 1 convolution with learned projected positions, plain pixels."""
    config = PerceiverConfig(
        num_latents=4,
        d_latents=8,
        num_blocks=3,
        num_self_attends_per_block=1,
        num_self_attention_heads=2,
        num_cross_attention_heads=2,
        qk_channels=6,
        v_channels=8,
        num_labels=3,
    )
    inputs = {
        "colour": hf.PerceiverImagePreprocessor(
            config,
            prep_type="conv",
            in_channels=3,
            spatial_downsample=4,
            out_channels=6,
            **fourier(2, (5, 6)),
        ),
        "infrared": hf.PerceiverImagePreprocessor(
            config,
            prep_type="conv1x1",
            in_channels=2,
            spatial_downsample=1,
            out_channels=7,
            project_pos_dim=5,
            **learned(12, 7),
        ),
        "raw": hf.PerceiverImagePreprocessor(
            config,
            prep_type="pixels",
            in_channels=1,
            spatial_downsample=1,
            **fourier(3, (4, 5)),
        ),
    }
    outputs = {
        "verdict": hf.PerceiverClassificationDecoder(
            config, position_encoding_only=True, **learned(1, 9)
        ),
        "where": queries(config, (3, 5), out_channels=14, project_pos_dim=11, **fourier(3, (3, 5))),
    }
    decoder = hf.PerceiverMultimodalDecoder(
        config, modalities=outputs, num_outputs=None, output_num_channels=6, min_padding_size=0
    )
    heads = {
        "verdict": hf.PerceiverClassificationPostprocessor(config, 6),
        "where": hf.PerceiverProjectionPostprocessor(6, 2),
    }
    masks = dict.fromkeys(inputs, 0.0)
    return (
        _model(config, inputs, masks, 0, decoder, heads),
        """
perceiver: 1
name: cameras
inputs:
  colour:
    shape: {row: 20, column: 24, channel: 3}
    steps:
      - conv:
          channels: 6
          kernel: {row: 7, column: 7}
          stride: {row: 2, column: 2}
          padding: {row: 3, column: 3}
          bias: false
      - batch_norm: {}
      - activation: relu
      - max_pool: {window: {row: 3, column: 3}, stride: {row: 2, column: 2}}
    position: {fourier: {bands: 2, max_resolution: {row: 5, column: 6}}}
  infrared:
    shape: {row: 3, column: 4, channel: 2}
    steps: [{linear: 7}]
    position: {learned: {width: 7}, project: 5}
  raw:
    shape: {row: 4, column: 5, channel: 1}
    position: {fourier: {bands: 3}}
join: {padding: {min: 0}}
latents: {count: 4, width: 8}
encode: {heads: 2, qk_width: 6, v_width: 8}
process: {layers: 1, blocks: 3, heads: 2, qk_width: 6, v_width: 8}
decode: {padding: {min: 0}, project: 6}
outputs:
  verdict:
    query: {learned: {count: 1, width: 9}}
    head: {linear: 3}
  where:
    query: {grid: {row: 3, column: 5}, position: {fourier: {bands: 3}, project: 11}}
    head: {linear: 2}
""",
    )


def alone() -> tuple[hf.PerceiverModel, str]:
    """One modality and one output; the video is decoded at another size than it is read at."""
    config = PerceiverConfig(
        num_latents=5,
        d_latents=10,
        num_self_attends_per_block=1,
        num_self_attention_heads=5,
        num_cross_attention_heads=1,
        cross_attention_widening_factor=3,
    )
    inputs = {
        "film": hf.PerceiverImagePreprocessor(
            config,
            prep_type="patches",
            in_channels=2,
            spatial_downsample=3,
            temporal_downsample=2,
            **fourier(3, (8, 12, 9)),
        )
    }
    outputs = {"sketch": queries(config, (2, 3, 5), **fourier(4, (2, 6, 10)))}
    decoder = hf.PerceiverMultimodalDecoder(
        config, modalities=outputs, num_outputs=None, output_num_channels=7, min_padding_size=1
    )
    heads = {"sketch": hf.PerceiverProjectionPostprocessor(7, 1)}
    return (
        _model(config, inputs, {"film": 0.0}, 2, decoder, heads),
        """
perceiver: 1
name: alone
inputs:
  film:
    shape: {time: 6, height: 9, width: 6, channel: 2}
    steps: [{patch: {time: 2, height: 3, width: 3}}]
    position: {fourier: {bands: 3, max_resolution: {time: 8, height: 12, width: 9}}}
join: {padding: {min: 2}}
latents: {count: 5, width: 10}
encode: {widening: 3}
process: {layers: 1, heads: 5}
decode: {padding: {min: 1}, project: 7}
outputs:
  sketch:
    query:
      grid: {time: 2, height: 3, width: 5}
      position: {fourier: {bands: 4, max_resolution: {time: 2, height: 6, width: 10}}}
    head: {linear: 1}
""",
    )


def _model(
    config: PerceiverConfig,
    inputs: dict[str, nn.Module],
    masks: dict[str, float],
    padding: int,
    decoder: nn.Module,
    heads: dict[str, nn.Module],
) -> hf.PerceiverModel:
    return hf.PerceiverModel(
        config,
        input_preprocessor=hf.PerceiverMultimodalPreprocessor(
            modalities=inputs, mask_probs=masks, min_padding_size=padding
        ),
        decoder=decoder,
        output_postprocessor=hf.PerceiverMultimodalPostprocessor(modalities=heads),
    )
