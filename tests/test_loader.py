from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from perceiver_graph import limits
from perceiver_graph.diagnostics import Diagnostic, DiagnosticError, render
from perceiver_graph.spec import Spec, load_spec, parse_spec
from perceiver_graph.spec.grammar import schema_at
from perceiver_graph.spec.loader import SHIPPED, shipped_names
from perceiver_graph.spec.validation import MAX_ERRORS

TEXT = """\
perceiver: 1
name: example
dims: {n: {max: 512}}
inputs:
  image:
    shape: {height: 224, width: 224, channel: 3}
    steps: [{patch: {height: 4, width: 4}}, {linear: 64}]
    position: {fourier: {bands: 64}}
  text: {shape: {length: n}, steps: [{embedding: {vocabulary: 262, width: 768}}]}
join: {padding: {min: 4}}
latents: {count: 512, width: 1024}
process: {layers: 6, heads: 8}
outputs:
  label: {query: {learned: {count: 1, width: 1024}}, head: {linear: 1000}}
"""


def errors(text: str, *overrides: str) -> list[Diagnostic]:
    with pytest.raises(DiagnosticError) as caught:
        parse_spec(text, "t.yaml", overrides)
    return list(caught.value.diagnostics)


def load_error(path: str | Path) -> Diagnostic:
    with pytest.raises(DiagnosticError) as caught:
        load_spec(path)
    (found,) = caught.value.diagnostics
    return found


# Documents


def test_a_document_has_the_spec_and_the_places_of_its_values() -> None:
    document = parse_spec(TEXT, "t.yaml")
    assert isinstance(document.spec, Spec)
    assert document.spec.latents.count == 512
    assert document.span("latents", "count").text == "512"
    assert document.key_span("latents", "count").text == "count"
    assert document.span("latents", "init_scale").text == "{count: 512, width: 1024}"
    assert document.span("inputs", "image", "steps", 1, "linear").text == "64"
    assert document.key_span("inputs", "image", "steps", 1).text == "linear"
    assert str(document.span("process", "heads")) == "t.yaml:12:29"


def test_a_byte_order_mark_is_not_part_of_the_text() -> None:
    assert str(parse_spec("\ufeff" + TEXT, "t.yaml").key_span("perceiver")) == "t.yaml:1:1"


# Finding and reading files


def test_shipped_specs_are_found_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "kinetics" in shipped_names()
    monkeypatch.chdir(tmp_path)
    document = load_spec("kinetics")
    assert document.spec.name == "kinetics"
    assert document.source.path == str(SHIPPED / "kinetics.yaml")
    (tmp_path / "kinetics").mkdir()
    assert load_spec("kinetics").spec.name == "kinetics"
    monkeypatch.chdir(SHIPPED.parent)
    assert load_spec("kinetics").source.path == "specs/kinetics.yaml"


def test_a_name_may_not_be_empty() -> None:
    assert load_error("").message == "the name of the spec is empty"


def test_a_file_goes_before_a_shipped_spec(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kinetics").write_text(TEXT, "utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_spec(Path("kinetics")).spec.name == "example"


def test_files_keep_the_path_they_were_given_by(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    monkeypatch.chdir(tmp_path)
    document = load_spec("./a.yaml", ["latents.count=8"])
    assert str(document.span("process", "heads")) == "./a.yaml:12:29"
    assert document.spec.latents.count == 8


@pytest.mark.parametrize(
    ("given_path", "guess"),
    [("kinetcs", "`kinetics`"), ("Kinetics.yaml", "`kinetics`"), ("my_modle", "my_model.yaml"),
     ("my_model.yml", "my_model.yaml"), ("zzz", None)],
)  # fmt: skip
def test_files_that_do_not_exist(tmp_path: Path, given_path: str, guess: str | None) -> None:
    (tmp_path / "my_model.yaml").write_text(TEXT, "utf-8")
    found = load_error(tmp_path / given_path)
    assert found.code == "PG001"
    assert "kinetics" in found.notes[0]
    if guess is None:
        assert found.help is None
    else:
        assert guess.strip("`") in (found.help or "")


@pytest.mark.parametrize("path", ["", "a\0b", "no/such/folder/x.yaml", "x" * 300 + "/y"])
def test_paths_that_cannot_be_files(path: str) -> None:
    assert load_error(path).code in {"PG001", "PG002"}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert load_error(tmp_path).code == "PG002"
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    assert load_error(loop).code == "PG002"
    secret = tmp_path / "secret.yaml"
    secret.write_text(TEXT, "utf-8")
    secret.chmod(0)
    if not os.access(secret, os.R_OK):
        assert load_error(secret).code == "PG002"


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        (b"", "PG004", None),
        (b"\xef\xbb\xbf", "PG004", None),
        (b"a: 1\nb: caf\xe9\n", "PG003", (2, 7)),
        (b"\xef\xbb\xbfb: \xff", "PG003", (1, 4)),
        (TEXT.encode("utf-16"), "PG003", None),
        (b"PK\x03\x04\x00\x00\xff", "PG003", None),
        (b"a: \x00", "PG003", (1, 4)),
        (b"#" * (limits.SPEC_BYTES + 1), "PG005", None),
    ],
)
def test_files_that_are_not_a_yaml_text(
    tmp_path: Path, content: bytes, code: str, place: tuple[int, int] | None
) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    found = load_error(path)
    span = found.primary.span if found.primary else None
    assert (found.code, span and (span.start_line, span.start_col)) == (code, place)


# Overrides


def test_a_pipe_that_nobody_writes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perceiver_graph.spec.loader._NOBODY", 0.2)
    os.mkfifo(tmp_path / "a.yaml")
    found = load_error(tmp_path / "a.yaml")
    assert (found.code, "nobody writes" in found.message) == ("PG002", True)


@pytest.mark.parametrize("pause", [0.0, 0.6])
def test_a_spec_may_come_through_a_pipe(
    pause: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perceiver_graph.spec.loader._NOBODY", 0.2)
    os.mkfifo(tmp_path / "a.yaml")
    command = f"exec > '{tmp_path}/a.yaml'; sleep {pause}; printf %s '{TEXT}'"
    with subprocess.Popen(["sh", "-c", command]) as writer:
        assert load_spec(tmp_path / "a.yaml").spec.name == "example"
    assert writer.returncode == 0


def test_overrides_replace_add_and_point_at_themselves() -> None:
    document = parse_spec(
        TEXT,
        "t.yaml",
        [
            "latents.count=0x10",
            "inputs.image.steps.0.patch.height=2",
            "encode.heads=4",
            "decode={heads: 2, chunks: 8}",
            "summary='a = b'",
            "dims.n.min=2",
        ],
    )
    spec = document.spec
    assert (spec.latents.count, spec.encode.heads, spec.decode.chunks) == (16, 4, 8)
    assert (spec.summary, spec.dims["n"].min, spec.dims["n"].max) == ("a = b", 2, 512)
    assert spec.modalities["image"].steps[0].model_dump() == {"patch": {"height": 2, "width": 4}}
    assert str(document.span("latents", "count")) == "override latents.count=0x10:1:15"
    assert document.span("decode", "chunks").text == "8"
    assert document.key_span("decode", "heads").text == "heads"
    assert document.key_span("encode", "heads").text == "encode.heads"
    assert str(document.span("latents", "width")) == "t.yaml:11:30"


def test_a_key_of_the_language_is_no_slip_for_another() -> None:
    """`layers` is not there, and near `latents`, which is."""
    assert "\nlayers:" not in TEXT
    layers = parse_spec(TEXT, overrides=["layers.dropout=0.25"]).spec.layers
    assert layers is not None
    assert layers.dropout == 0.25


def test_overrides_of_one_alias_leave_the_other_alone() -> None:
    text = TEXT.replace("latents: {", "decode: &d {heads: 2}\nencode: *d\nlatents: {")
    spec = parse_spec(text, "t.yaml", ["encode.heads=8"]).spec
    assert (spec.encode.heads, spec.decode.heads) == (8, 2)


@pytest.mark.parametrize(
    "override",
    ["", "=", "=1", "latents", "latents.count=", "latents..count=1", ".=1", "latents.count.x=1",
     "inputs.image.steps.2.linear=1", "inputs.image.steps.x=1", "latnets.count=1",
     "latents.count=[", "latents.count=!!int 1", "latents.count=1e999", "latents.count=\x07",
     "latents.count=#", "inputs.image.steps.99999999999999999999=1", "inputs.image.steps.\u0661=1",
     ".".join("a" * 2000) + "=1"],
)  # fmt: skip
def test_bad_overrides(override: str) -> None:
    assert {d.code for d in errors(TEXT, override)} == {"PG214"}
    render(errors(TEXT, override))


def test_all_bad_overrides_are_reported() -> None:
    assert len(errors(TEXT, "a", "b", "latents.count=8")) == 2


# Validation


def places(text: str, *overrides: str) -> list[tuple[str, str]]:
    return [(d.code, d.primary.span.text if d.primary else "") for d in errors(text, *overrides)]


@pytest.mark.parametrize(
    ("override", "code", "place"),
    [
        ("latents.wdith=1", "PG101", "latents.wdith"),
        ("latents={count: 1}", "PG102", "latents"),
        ("latents.width=many", "PG103", "many"),
        ("latents.count=true", "PG103", "true"),
        ("latents.width=8.0", "PG103", "8.0"),
        ("latents.count=null", "PG103", "null"),
        ("latents.count=[1]", "PG103", "[1]"),
        ("name=12", "PG103", "12"),
        ("inputs=[1]", "PG103", "[1]"),
        ("inputs.image.position=fourier", "PG103", "fourier"),
        ("dialect=pytorch", "PG104", "pytorch"),
        ("dialect=3", "PG104", "3"),
        ("inputs.image.mask=sometimes", "PG104", "sometimes"),
        ("latents.count=0", "PG105", "0"),
        ("latents.count=2147483648", "PG105", "2147483648"),
        ("latents.init_scale=.nan", "PG105", ".nan"),
        ("latents.init_scale=.inf", "PG105", ".inf"),
        ("latents.init_scale=-1", "PG105", "-1"),
        ("inputs.image.shape.height=0", "PG105", "0"),
        ("inputs.image.shape.height=a b", "PG103", "a b"),
        ("inputs.image.position={furier: {bands: 1}}", "PG106", "furier"),
        ("inputs.image.steps.0={zzz: 1}", "PG106", "zzz"),
        ("inputs.image.position={combine: add, furier: {}}", "PG106", "furier"),
        ("inputs.image.steps.0={}", "PG107", "{}"),
        ("inputs.image.steps.0={linear: 3, patch: {a: 1}}", "PG107", "linear"),
        ("perceiver=2", "PG108", "2"),
        ("perceiver=0", "PG104", "0"),
        ("perceiver='1'", "PG104", "'1'"),
        ("name=a b", "PG109", "a b"),
        ("inputs={A B: {shape: {n: 1}}}", "PG109", "A B"),
        ("inputs={}", "PG110", "{}"),
        ("inputs.image.steps.0.patch={}", "PG110", "{}"),
    ],
)  # fmt: skip
def test_each_kind_of_error(override: str, code: str, place: str) -> None:
    assert places(TEXT, override) == [(code, place)]


def test_the_whole_text_must_be_a_mapping() -> None:
    for text in ("- 1\n", "abc\n", "5\n", "null\n"):
        (found,) = errors(text)
        assert (found.code, found.message.split(",")[0]) == (
            "PG103",
            "the spec: expected a mapping",
        )


def test_long_names_are_refused_at_their_key() -> None:
    name = "a" * 65
    assert places(TEXT, f"dims={{{name}: {{}}}}") == [("PG110", name)]


def test_keys_that_look_like_union_tags_are_ordinary_unknown_keys() -> None:
    found = errors(TEXT, "inputs.image.position={fourier: {bands: 1}, <fourier>: 1}")
    assert [(d.code, d.primary.span.text if d.primary else "") for d in found] == [
        ("PG101", "<fourier>")
    ]


def test_help_for_values_that_are_nearly_right() -> None:
    cases = {
        "latents.count='8'": "remove the quotes: `8`",
        "latents.count=8.0": "write `8`",
        "process.share=yes": "write `true`",
        "summary=1.50": 'put it in quotes: "1.50"',
        "inputs.image.steps={linear: 8}": "write `steps: [{linear: 8}]`",
        "inputs.image.steps={patch: 4}": "write `steps: [{patch: {height: 4, width: 4}}]`",
        "inputs.image.steps={patsh: 4}": "make it a list by putting `- ` before each entry",
        "encode=null": "write `encode: {}`, for the defaults",
        "latents=null": "for example `latents: {count: 256, width: 512}`",
        "inputs.image.position=fourier": "write `position: {fourier: {bands: 64}}`",
        "inputs.image.steps.0=patsh": "write `{patch: {height: 16, width: 16}}`",
        "dialect=hugging_face": "did you mean `huggingface`?",
        "inputs.image.shape={Height: 1}": "for example `height`",
        "latents.Count=1": "did you mean `count`?",
    }
    assert {override: errors(TEXT, override)[0].help for override in cases} == cases


def test_a_name_without_its_ending_is_that_of_the_file_beside(tmp_path: Path) -> None:
    for name in ("ecg", "heart"):
        (tmp_path / f"{name}.yaml").write_text(TEXT, encoding="utf-8")
    with pytest.raises(DiagnosticError) as raised:
        load_spec(tmp_path / "ecg")
    assert raised.value.diagnostics[0].help == f"did you mean `{tmp_path / 'ecg.yaml'}`?"
    for wanted, help in (("haert.yaml", "heart.yaml"), ("nothere.yaml", None), ("egc", "ecg.yaml")):
        with pytest.raises(DiagnosticError) as raised:
            load_spec(tmp_path / wanted)
        known = help and f"did you mean `{tmp_path / help}`?"
        assert raised.value.diagnostics[0].help == known


def test_a_misspelt_key_is_not_also_reported_as_missing() -> None:
    assert places(TEXT, "latents={cuont: 1, width: 8}") == [("PG101", "cuont")]
    assert [code for code, _ in places(TEXT, "latents={zzz: 1, width: 8}")] == ["PG102", "PG101"]


def test_errors_come_from_top_to_bottom_and_not_without_end() -> None:
    text = TEXT + "".join(f"key{i}: 1\n" for i in range(1000))
    found = errors(text)
    lines = [d.primary.span.start_line for d in found if d.primary]
    assert lines == sorted(lines)
    assert len(lines) == MAX_ERRORS
    assert [d.message for d in found if d.severity == "note"] == ["900 more errors are not shown"]


def test_the_rules_of_the_models_are_found_where_errors_are() -> None:
    position = schema_at(Spec, ("inputs", "image", "<shape>", "position"))
    assert position
    assert position.alternatives == ("fourier", "learned", "rotary", "none")
    fourier = schema_at(Spec, ("inputs", "image", "<shape>", "position", "<fourier>", "fourier"))
    assert fourier
    assert "bands" in fourier.keys
    assert fourier.required == ("bands",)
    assert schema_at(Spec, ("inputs", "image", "nothing", "below")) is None
