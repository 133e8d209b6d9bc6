"""Tables of numbers from files, their masks, and tables side by side."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.table.rows import Table, read_table
from tests.media_support import code_of

ROWS = np.array([[1.0, 2.0], [3.0, 4.5], [-5.0, 6.0]])
MASK = np.array([True, False, True])
MASKED = [[1.0, 2.0], [0.0, 0.0], [-5.0, 6.0]]


def outcome(path: Path) -> tuple[Table | None, set[str]]:
    """The table, or the codes of what is wrong with the file."""
    try:
        return read_table(path, "entities"), set()
    except DiagnosticError as error:
        return None, {found.code for found in error.diagnostics}


def test_tables_without_a_mask(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS)
    np.savez(tmp_path / "a.npz", entities=ROWS, other=np.zeros(2), names=np.array(["a", "b"]))
    np.savez(tmp_path / "one.npz", units=ROWS[None].astype(">f4"))
    (tmp_path / "a.csv").write_text("health,shield\n1,2\n3,4.5\n-5,6\n")
    for name in ("a.npy", "a.npz", "one.npz", "a.csv"):
        table = read_table(tmp_path / name, "entities")
        assert table.values.dtype == np.float32
        assert np.array_equal(table.values, ROWS)
        assert table.mask.dtype == np.bool_
        assert table.mask.tolist() == [True] * 3


@pytest.mark.parametrize("key", ["entities.attention_mask", "attention_mask", "mask"])
@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8", "float32"])
def test_masks(tmp_path: Path, key: str, dtype: str) -> None:
    rows = ROWS.copy()
    rows[1] = np.nan  # in a row that is not there
    for mask in (MASK.astype(dtype), MASK.astype(dtype)[None]):
        np.savez(tmp_path / "a.npz", allow_pickle=False, entities=rows, **{key: mask})
        table = read_table(tmp_path / "a.npz", "entities")
        assert table.values.tolist() == MASKED
        assert np.array_equal(table.mask, MASK)
        assert np.array_equal(read_table(tmp_path / "a.npz", "entities").mask, MASK)


def test_the_inputs_own_mask_comes_first(tmp_path: Path) -> None:
    masks = {"entities.attention_mask": MASK, "mask": ~MASK}
    np.savez(tmp_path / "a.npz", allow_pickle=False, entities=ROWS, **masks)
    assert np.array_equal(read_table(tmp_path / "a.npz", "entities").mask, MASK)


def test_an_input_may_be_called_mask(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", mask=ROWS)
    table = read_table(tmp_path / "a.npz", "mask")
    assert np.array_equal(table.values, ROWS)
    assert table.mask.all()


@pytest.mark.parametrize(
    ("mask", "code", "words"),
    [
        (np.ones(2), "PG503", "shape [2], and there are 3 rows"),
        (np.ones((3, 1)), "PG503", "shape [3, 1]"),
        (np.array(1), "PG503", "shape []"),
        (np.array(["y", "n", "y"]), "PG504", "of dtype <U1"),
        (np.array([1, 2, 0]), "PG514", "the value 2 in row 1"),
        (np.array([1, 0, np.nan]), "PG514", "the value nan in row 2"),
    ],
)
def test_masks_that_are_none(tmp_path: Path, mask: object, code: str, words: str) -> None:
    np.savez(tmp_path / "a.npz", entities=ROWS, mask=np.asarray(mask))
    found, text = code_of(lambda: read_table(tmp_path / "a.npz", "entities"))
    assert found == code
    assert words in text


def test_archives_without_the_table(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=ROWS, b=ROWS)
    code, text = code_of(lambda: read_table(tmp_path / "two.npz", "entities"))
    assert code == "PG512"
    assert "no array called `entities`" in text
    assert "`a`, `b`" in text
    np.savez(tmp_path / "none.npz", mask=MASK)
    assert "its arrays: none" in code_of(lambda: read_table(tmp_path / "none.npz", "entities"))[1]
    np.savez(tmp_path / "many.npz", **{f"a{i}": ROWS for i in range(20)})  # type: ignore[arg-type]
    assert "`a7`, ..." in code_of(lambda: read_table(tmp_path / "many.npz", "entities"))[1]


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    for value in (np.nan, np.inf, 1e300):
        rows = ROWS.copy()
        rows[2, 1] = value
        np.save(tmp_path / "a.npy", rows)
        code, text = code_of(lambda: read_table(tmp_path / "a.npy"))
        assert code == "PG505"
        assert "row 2, column 1" in text


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("1,2\n3,nan\n", "line 2, column 2"),
        ("a,b\n\n# note\n1,2\n3,1e999\n", "line 5, column 2"),
        (",a,b\n0,1,2\n1,inf,4\n", "line 3, column 2"),
    ],
)
def test_in_a_text_the_place_is_told_as_editors_count(
    text: str, place: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(text)
    code, told = code_of(lambda: read_table(tmp_path / "a.csv"))
    assert (code, f": {place}" in told) == ("PG505", True), told


def test_files_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_text("ply\nformat ascii 1.0\nend_header\n")
    code, text = code_of(lambda: read_table(tmp_path / "a.ply"))
    assert code == "PG507"
    assert "a cloud of points" in text
    assert code_of(lambda: read_table(tmp_path / "none.csv"))[0] == "PG512"
    assert code_of(lambda: read_table(tmp_path))[0] == "PG512"


def npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


@pytest.mark.parametrize(
    "data",
    [
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00" + bytes(100),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }", bytes(47)),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999, 2), }", bytes(48)),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (%s, 2), }" % ("9" * 30), bytes(8)),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-3, 2), }", bytes(48)),
        npy("{'descr': '<q9', 'fortran_order': False, 'shape': (3, 2), }", bytes(48)),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': 'abc', }", bytes(48)),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (3, 2), }", bytes(48)),
        npy("{'descr': [[[", bytes(48)),
        npy("__import__('os').getcwd()", bytes(48)),
        b"PK\x03\x04 and then nothing of the kind",
    ],
)
def test_damaged_arrays(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(data)
    assert code_of(lambda: read_table(tmp_path / "a.npy"))[0] == "PG507"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("entities.npy", data)
    code, text = code_of(lambda: read_table(tmp_path / "a.npz", "entities"))
    assert code in ("PG504", "PG507")  # what is no array at all, numpy hands over as bytes
    assert "array `entities`" in text


def test_archives_may_be_empty_or_encrypted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    assert code_of(lambda: read_table(tmp_path / "empty.npz", "entities"))[0] == "PG512"
    np.savez(tmp_path / "a.npz", entities=ROWS)
    data = bytearray((tmp_path / "a.npz").read_bytes())
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + place] |= 1  # the flag that says: encrypted
    (tmp_path / "a.npz").write_bytes(data)
    code, text = code_of(lambda: read_table(tmp_path / "a.npz", "entities"))
    assert code == "PG507"
    assert "encrypted" in text


def test_a_file_of_python_2_is_read_without_a_warning(tmp_path: Path) -> None:
    """It says `(2L, 3L)`. A warning would be an error here."""
    stream = io.BytesIO()
    np.save(stream, ROWS)
    rows = f"({ROWS.shape[0]},".encode()
    old = stream.getvalue().replace(rows, rows[:-1] + b"L,").replace(b" \n", b"\n", 1)
    assert b"L," in old
    (tmp_path / "a.npy").write_bytes(old)
    found, codes = outcome(tmp_path / "a.npy")
    assert not codes
    assert found is not None
    np.testing.assert_array_equal(found.values, ROWS)


@given(st.booleans(), st.data())
@settings(deadline=None, max_examples=300)
def test_no_damage_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, archive: bool, data: st.DataObject
) -> None:
    stream = io.BytesIO()
    if archive:
        np.savez_compressed(stream, entities=ROWS, mask=MASK)
    else:
        np.save(stream, ROWS)
    content = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path_factory.mktemp("table") / "a"
    path.write_bytes(content)
    table, codes = outcome(path)
    assert codes <= {"PG503", "PG504", "PG505", "PG507", "PG512", "PG514"}
    if table is not None:
        assert table.values.shape[:1] == table.mask.shape
        assert np.isfinite(table.values).all()


# Side by side ------------------------------------------------------------------------------------


def test_whole_numbers_that_float32_rounds_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1,2\n16777216,0.1\n")
    assert read_table(path).notes == ()
    path.write_text("1,2\n3,1700000001\n")
    (note,) = read_table(path).notes
    assert "1700000001 becomes 1700000000, in row 1, column 1" in note
