"""Tables whose columns the spec names, that lack values, or that are turned: what is taken, or the line that
makes it right, which is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perceiver_graph import compile as compile_spec
from perceiver_graph import load
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.table.rows import read_table
from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.run import run_files
from tests.media_support import code_of

NAMES = ("hour", "celsius")
SPEC: dict[str, Any] = {
    "perceiver": 1,
    "name": "sense",
    "dims": {"rows": {"min": 1, "max": 64}},
    "inputs": {
        "sensor": {
            "shape": {"row": "rows"},
            "steps": [{"embedding": {"vocabulary": 40, "width": 8}}],
            "position": {
                "inputs": "value",
                "coordinates": [*NAMES],
                "range": {"hour": [0, 24], "celsius": [-40, 60]},
                "fourier": {"bands": 2, "max_resolution": 8},
            },
        },
        "value": {"shape": {"row": "rows", "channel": 2}, "media": {"table": {}}},
        "ecg": {
            "shape": {"time": "rows", "channel": 3},
            "steps": [{"linear": 18}],
            "attention_mask": True,
            "media": {"table": {}},
        },
    },
    "latents": {"count": 2, "width": 8},
    "process": {"layers": 1, "heads": 2},
    "outputs": {"load": {"query": {"learned": {}}, "head": {"linear": 1}}},
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("sense") / "sense"
    compile_spec(SPEC).save(folder)
    return load(folder, device="cpu")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "a.csv"


def refused(program: Program, **files: Any) -> tuple[str, str]:
    with pytest.raises(DiagnosticError) as caught:
        program.read(**files)
    (found,) = caught.value.diagnostics
    return found.code, f"{found.message}\n{found.help}"


def followed(told: str, *numbers: int) -> None:
    """Run some of the lines that a message gives."""
    lines = re.findall("`([^`]*numpy[^`]*)`", told)
    exec("\n".join(["import numpy", *(lines[i] for i in numbers)]), {})


@pytest.mark.parametrize(
    "text",
    [
        "hour,celsius\n3,20\n12,-5\n",
        "celsius,hour\n20,3\n-5,12\n",
        "Celsius (°C); Hour\n20;3\n-5;12\n",
        "# celsius hour\n20 3\n-5 12\n",
        ",celsius,hour\n0,20,3\n1,-5,12\n",
        "id,celsius,hour\n7,20,3\n8,-5,12\n",
        "3,20\n12,-5\n",
        ",0,1\n0,3,20\n1,12,-5\n",
    ],
)
def test_columns_are_taken_by_the_names_of_the_spec(
    text: str, path: Path, program: Program
) -> None:
    path.write_text(text)
    assert program.read(value=path)["value"].tolist() == [[[3, 20], [12, -5]]]
    notes = " ".join(read_table(path, channels=NAMES).notes)
    elsewhere = re.match(r"\W*(id,)?c", text, re.IGNORECASE) is not None
    assert ("by their names, as" in notes) == elsewhere
    assert ("does not name are left out (`id`)" in notes) == text.startswith("id")


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("celsius,h", "no column is called `hour`"),
        ("a,b", "no column is called `hour`, `celsius`"),
        ("hour,Hour", "no column is called `celsius`"),
        ("hour,celsius,hour", "several columns are called `hour`"),
    ],
)
def test_names_that_do_not_fit_are_refused(
    header: str, fault: str, path: Path, program: Program
) -> None:
    path.write_text(f"{header}\n{'1,' * header.count(',')}2\n")
    code, told = refused(program, value=path)
    assert code == "PG507"
    assert fault in told
    assert "hour,celsius; without a first row of names" in told


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("hour,celsius\n1,2\n3,\n", "line 3, column 2"),
        ("hour,celsius\n1,2\n,3\n", "line 3, column 1"),
        ("hour;celsius\n1;2\nNA;3\n", "line 3, column 1"),
        ("1,2\n3,\n", "line 2, column 2"),
        (",hour,celsius\n0,1,2\n1,3,\n", "line 3, column 3"),
        ("hour,celsius\n1,2\n3,nan\n", "line 3, the column `celsius`"),
        ("hour celsius\n1 2\n3 nan\n", "line 3, the column `celsius`"),
        ("# of a day\nhour\tcelsius\n1\t2\n3\tNA\n", "line 4, column 2"),
        ("id,celsius,hour,\n5,2,1,\n6,,3,\n", "line 3, column 2"),
        ('"hour","celsius"\n"1","2"\n"3",""\n', "line 3, column 2"),
        ('hour,celsius\n1,"2"\n3,NA\n', "line 3, column 2"),
    ],
)
def test_a_value_that_is_not_there(text: str, place: str, path: Path, program: Program) -> None:
    """Each line that is advised, run, makes a file that is read."""
    path.write_text(text)
    with pytest.raises(DiagnosticError) as caught:
        program.read(value=path)
    (found,) = caught.value.diagnostics
    told = " ".join([found.message, *map(str, found.notes)])
    assert place in told
    for number, count in ((1, 1), (2, 2)):
        followed(str(found.help), 0, number)
        read = program.read(value="filled.npy")["value"]
        assert read.shape == (1, count, 2)
        assert read[0, 0].tolist() == [1, 2]


def test_a_row_without_a_value_may_be_masked(path: Path, program: Program) -> None:
    path.write_text("a,b,c\n1,2,3\n4,,6\n7,8,9\n")
    _, told = refused(program, ecg=path)
    followed(told, 0, 3)
    read = program.read(ecg="filled.npz")
    assert read["ecg"].tolist() == [[[1, 2, 3], [0, 0, 0], [7, 8, 9]]]
    assert read["ecg.attention_mask"].tolist() == [[True, False, True]]


@pytest.mark.parametrize("kind", ["csv", "npy"])
def test_of_a_fixed_number_of_rows_none_is_to_be_left_out(kind: str, path: Path) -> None:
    spec = {
        **{key: SPEC[key] for key in ("perceiver", "name", "latents", "process", "outputs")},
        "inputs": {
            "a": {"shape": {"row": 2, "channel": 2}, "media": {"table": {}}, "position": "none"}
        },
    }
    compile_spec(spec).save(path.parent / "fixed")
    fixed = load(path.parent / "fixed", device="cpu")
    path.write_text("1,2\n3,nan\n")
    np.save(path.with_suffix(".npy"), np.array([[1.0, 2.0], [3.0, np.nan]]))
    _, told = refused(fixed, a=path.with_suffix(f".{kind}"))
    assert "leave out" not in told
    followed(told, 0, 1)
    assert fixed.read(a="filled.npy")["a"].tolist() == [[[1, 2], [3, 0]]]


def test_separators_at_the_end_of_lines_are_none(path: Path) -> None:
    path.write_text("a,b,\n1,2,\n3,4,\n")
    assert read_table(path).values.tolist() == [[1, 2], [3, 4]]
    path.write_text("a,b\n1,2,\n3,4\n")
    assert read_table(path).values.tolist() == [[1, 2], [3, 4]]
    path.write_text("a,b\n1\n")
    assert "line 2: 1 number, and the first row names 2" in code_of(lambda: read_table(path))[1]


@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "headed"])
def test_a_table_that_is_turned(kind: str, path: Path, program: Program) -> None:
    turned = np.arange(15.0).reshape(3, 5)
    if kind == "npy":
        np.save(path := path.with_suffix(".npy"), turned[None])
    elif kind == "npz":
        np.savez(path := path.with_suffix(".npz"), ecg=turned, other=turned)
    else:
        header = "a,b,c,d,e" if kind == "headed" else ""
        np.savetxt(path, turned, delimiter=",", header=header, comments="")
        path.write_text(path.read_text().lstrip("\n"))
    code, told = refused(program, ecg=path)
    assert code == "PG503"
    assert "has 5 columns, and `ecg` takes 3 channels" in told
    followed(told, 0)
    assert program.read(ecg="turned.npy")["ecg"].tolist() == [turned.T.tolist()]


def test_ids_of_a_column_are_given_as_an_array(path: Path, program: Program) -> None:
    """As the help says to one who declares them as a table."""
    wrong = SPEC | {"inputs": {**SPEC["inputs"]}}
    wrong["inputs"]["sensor"] = SPEC["inputs"]["sensor"] | {"media": {"table": {}}}
    with pytest.raises(DiagnosticError) as caught:
        compile_spec(wrong)
    help = str(caught.value.diagnostics[0].help)
    assert help.startswith("leave `media` out, and give the ids as an array, `perceiver-graph run")
    path.with_name("TABLE.csv").write_text("id,hour,celsius\n7,3,20\n8,12,-5\n")
    path.write_text("hour,celsius\n3,20\n12,-5\n")
    followed(help, 0)
    assert np.load("IDS.npy").tolist() == [7, 8]
    assert np.load("IDS.npy").dtype == np.int64
    np.save("ecg.npy", np.ones((2, 3)))
    values = ["sensor=IDS.npy", f"value={path}", "ecg=ecg.npy"]
    (found,) = run_files(program, values, path.parent / "out")
    assert found.files


def test_another_table_is_not_turned(path: Path, program: Program) -> None:
    for shape in ((2, 5), (3, 65)):
        np.save(path.with_suffix(".npy"), np.ones(shape))
        assert "turned" not in refused(program, ecg=path.with_suffix(".npy"))[1]
