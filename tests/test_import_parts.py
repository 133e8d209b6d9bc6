"""Perceivers that are parts of other systems: told by the names of their tensors, alone or in a larger
checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import perceiver_graph as pg
from perceiver_graph.compiler.importing import Imported, import_checkpoint
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights import initialize, load
from perceiver_graph.compiler.weights.system_tables import SYSTEMS, find
from perceiver_graph.compiler.weights.systems import System
from perceiver_graph.diagnostics import DiagnosticError
from tests.small import SMALL
from tests.system_files import small, theirs, told

IP_ADAPTER = SYSTEMS[0]
each_system = pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)


def file(folder: Path, tensors: Mapping[str, Array]) -> Path:
    save_file({n: np.ascontiguousarray(t) for n, t in tensors.items()}, folder / "t.safetensors")
    return folder / "t.safetensors"


def refused(path: Path, **options: str) -> str:
    with pytest.raises(DiagnosticError) as caught:
        import_checkpoint(path, prefix=options.get("prefix", ""))
    (diagnostic,) = caught.value.diagnostics
    lines = [f"{diagnostic.code} {diagnostic.message}", *diagnostic.notes, diagnostic.help or ""]
    return "\n".join(lines)


def same(imported: Imported, weights: Mapping[str, Array]) -> bool:
    return imported.weights.keys() == weights.keys() and all(
        np.array_equal(imported.weights[name], value) for name, value in weights.items()
    )


@each_system
def test_a_part_is_told_by_its_names(system: System, tmp_path: Path) -> None:
    compiled, weights = small(system)
    path = file(tmp_path, theirs(system, weights))
    imported = import_checkpoint(path, settings=told(system))
    assert imported.source == system.source
    assert same(imported, weights)
    assert imported.notes == []
    assert pg.compile(imported.spec_text).graph.parameter_count == compiled.graph.parameter_count


@each_system
def test_a_part_of_a_larger_checkpoint(system: System, tmp_path: Path) -> None:
    _, weights = small(system)
    tensors = theirs(system, weights, "model.part.")
    path = file(tmp_path, {**tensors, "model.lm_head.weight": np.zeros((3, 3), np.float32)})
    assert f"{system.source} below `model.part`" in refused(path)
    assert 'did you mean `prefix="model.part."`?' in refused(path)
    with pytest.raises(DiagnosticError) as within:
        import_checkpoint(path, prefix="model", settings=told(system))
    assert 'did you mean `prefix="model.part."`?' in str(within.value)
    imported = import_checkpoint(path, prefix="model.part", settings=told(system))
    assert same(imported, weights)
    assert imported.notes == ["outside of `model.part.`, not read: model.lm_head.weight"]


@each_system
def test_the_shipped_spec_takes_the_names_of_the_library(system: System, tmp_path: Path) -> None:
    compiled, weights = small(system)
    path = file(tmp_path, theirs(system, weights))
    if system.fourier is not None:
        with pytest.raises(DiagnosticError, match="import their file first"):
            load(path, compiled.graph)
        return
    found = load(path, compiled.graph)
    assert all(np.array_equal(found[name], value) for name, value in weights.items())


@each_system
def test_the_names_are_of_one_system(system: System) -> None:
    found = find(list(theirs(system, small(system)[1])))
    assert [one.system.name for one in found] == [system.name]


def test_what_is_left_over_and_what_is_missing_is_named(tmp_path: Path) -> None:
    tensors = theirs(IP_ADAPTER, small(IP_ADAPTER)[1])
    path = file(tmp_path, {**tensors, "layers.0.2.scale": np.zeros(3, np.float32)})
    assert "PG303" in refused(path)
    assert "not used: layers.0.2.scale" in refused(path)
    del tensors["layers.1.0.to_kv.weight"]
    found = refused(file(tmp_path, tensors))
    assert "PG302 2 tensors are missing" in found
    assert "layers.1.0.to_kv.{weight[keys], weight[values]} in the checkpoint" in found


def test_heads_are_as_published_where_nothing_says_them(tmp_path: Path) -> None:
    _, weights = small(IP_ADAPTER)
    imported = import_checkpoint(file(tmp_path, theirs(IP_ADAPTER, weights)))
    assert "no tensor tells heads: 64 channels each, as published" in imported.spec_text


def test_heads_of_a_configuration(tmp_path: Path) -> None:
    system = next(system for system in SYSTEMS if system.name == "idefics2")
    _, weights = small(system)
    told = {"perceiver_config": {"resampler_n_heads": 16, "num_key_value_heads": 4}}
    path = file(tmp_path, theirs(system, weights))
    imported = import_checkpoint(path, config={"model_type": "idefics2", **told})
    spec = pg.load_spec(imported.spec_text).spec
    assert (spec.encode.heads, spec.encode.key_heads) == (16, 4)
    assert "as published" not in imported.spec_text


def test_options_that_mean_nothing_to_a_part(tmp_path: Path) -> None:
    path = file(tmp_path, theirs(IP_ADAPTER, small(IP_ADAPTER)[1]))
    with pytest.raises(DiagnosticError, match="leave `image_size` out"):
        import_checkpoint(path, image_size=(3, 3))
    with pytest.raises(DiagnosticError, match="PG214"):
        import_checkpoint(path, settings=["encode.heads"])


def test_what_stands_beside_a_part_is_told(tmp_path: Path) -> None:
    system = next(system for system in SYSTEMS if system.name == "hy3dgen")
    tensors = theirs(system, small(system)[1])
    others = {f"encoder.blocks.{i}.ln_1.weight": np.ones(2, np.float32) for i in range(2)}
    path = file(tmp_path, {**tensors, **others})
    imported = import_checkpoint(path, settings=told(system))
    assert imported.notes == [
        "beside ShapeVAE of hy3dgen, not read: encoder.blocks.{0..1}.ln_1.weight"
    ]
    beyond = {"transformer.extra.weight": np.ones(2, np.float32)}
    assert "not used: transformer.extra.weight" in refused(file(tmp_path, {**tensors, **beyond}))


def test_heads_tell_how_a_matrix_is_cut(tmp_path: Path) -> None:
    """Norms of queries say how wide a head is; where there are none, the spec does, and without one
    nothing is cut."""
    system = next(system for system in SYSTEMS if system.name == "hy3dgen")
    overrides = (*SMALL[system.spec], "layers.qk_norm=none")
    compiled = pg.compile(system.spec, overrides=overrides)
    weights = initialize(compiled.graph, 3)
    path = file(tmp_path, theirs(system, weights))
    assert same(import_checkpoint(path, settings=told(system)), weights)
    with pytest.raises(DiagnosticError, match="PG302"):
        load(path, compiled.graph)


def test_what_no_tensor_tells_is_said_in_the_spec(tmp_path: Path) -> None:
    system = next(system for system in SYSTEMS if system.name == "perceiver_ar_pytorch")
    path = file(tmp_path, theirs(system, small(system)[1]))
    text = import_checkpoint(path, settings=["encode.heads=2", "process.heads=2"]).spec_text
    assert "last: 3" in text
    assert "no tensor tells last: 3, as published" in text
    assert "no tensor tells heads" not in text
    settings = [*told(system), "latents.last=4"]
    assert "no tensor tells" not in import_checkpoint(path, settings=settings).spec_text


def test_frequencies_tell_waves_and_heads(tmp_path: Path) -> None:
    system = next(system for system in SYSTEMS if system.name == "torch_brain")
    waves = np.zeros(4, np.float32)
    waves[:2] = 2 * np.pi / np.array([0.0125, 1.75])
    tensors = {**theirs(system, small(system)[1]), "rotary_emb.omega": waves}
    imported = import_checkpoint(file(tmp_path, tensors))
    assert imported.notes == ["beside POYO of torch-brain, not read: rotary_emb.omega"]
    assert "wavelengths: [0.0125, 1.75]" in imported.spec_text
    assert "encode: {heads: 2, qk_width: 16}" in imported.spec_text  # 8 channels each
    assert "no tensor tells heads" not in imported.spec_text


def test_weights_that_were_trained_with_other_waves_are_refused(tmp_path: Path) -> None:
    system = next(system for system in SYSTEMS if system.name == "torch_brain")
    compiled, weights = small(system)
    waves = np.zeros(4, np.float32)
    waves[:2] = 2 * np.pi / np.array([1e-4, 2.0627])
    path = file(tmp_path, {**theirs(system, weights), "rotary_emb.omega": waves})
    loaded = load(path, compiled.graph)
    assert all(np.array_equal(loaded[name], value) for name, value in weights.items())
    waves[1] *= 2
    path = file(tmp_path, {**theirs(system, weights), "rotary_emb.omega": waves})
    with pytest.raises(DiagnosticError) as caught:
        load(path, compiled.graph)
    (found,) = caught.value.diagnostics
    assert found.code == "PG309"
    assert "`rotary_emb.omega`" in found.message
    assert "`layers.rotary.wavelengths` = [0.0001, 2.0627]" in found.message
    assert found.help == "write [0.0001, 1.03135] for `layers.rotary.wavelengths` in the spec"
