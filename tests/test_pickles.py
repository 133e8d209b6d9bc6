"""Pickles are read and never run: data comes out as `pickle` makes it, anything else is refused."""

from __future__ import annotations

import base64
import builtins
import collections
import copyreg
import io
import os
import pickle
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_graph.compiler.importing.pickled import Pickled, RefusedError
from perceiver_graph.compiler.importing.pickles import BrokenError, follow, read_pickle
from perceiver_graph.diagnostics import DiagnosticError
from tests.deepmind_files import haiku_mapping

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

HAIKU = (
    "c-l>mO-}+b5QbU4iG&zql#6#xOH7O>6G*tZ2?zhcW>|_vcNfxjMGly~$VW0a#+wKKsZI+TC+)Q9%sYMFy!`R$6<n;SgVi"
    "}GNHnboo2f9}w{AR51t_vbZ$a34f>%G(D)K=oSQ4IvN<_0%8<j;SJUs5X`6A7d`O*)gnG$}I#b$aGH2({@6)Ucju$GR0<"
    "w4<{2HuD^)Cs(x7?jo|n^+l}<y=@vadJbu?S>w>UPAAVhQs0gH-}3>!O&<oXdi6lJx+aIymQ`PeKOWxV<F%<bQ5>l@F?U"
    "DWdo}^f|woeNnQ@hR!3{DW*RHnfDu+(5((I|1}{Rvqaa!D$P?MJ-178D&DV2mBys4lHDP@;iDzK0Z+Z3~y=*f(TPy~BM_"
    "tZ)dCw8bs{@zTng0VB>7U*"
)
"""Parameters and state in a FlatMapping of jax arrays, written by dm-haiku 0.0.17, jax 0.10.2."""


def read(data: bytes) -> Any:
    return follow(io.BytesIO(data), len(data))


def plain(value: Any) -> Any:
    """The same with arrays of numpy."""
    match value:
        case Pickled():
            return value.array()
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case _:
            return value


# What is read

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
DATA = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(DATA, st.sampled_from(PROTOCOLS))
def test_data_is_what_pickle_makes_of_it(data: Any, protocol: int) -> None:
    assert read(pickle.dumps(data, protocol)) == data


@given(
    st.sampled_from(["f2", "f4", "f8", ">f4", ">f8", "i1", "i4", "i8", "u2", ">i8", "?"]),
    st.lists(st.integers(1, 4), max_size=4),
    st.sampled_from("CF"),
    st.sampled_from(PROTOCOLS),
)
def test_arrays_are_those_of_numpy(code: str, shape: list[int], order: Any, protocol: int) -> None:
    count = int(np.prod(shape))
    array = np.arange(count).astype(code).reshape(shape, order=order)
    found = read(pickle.dumps(array, protocol)).array()
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert np.array_equal(found, array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_forms_of_arrays(protocol: int) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    shared: dict[str, Any] = {
        "a": array,
        "b": array,
        "c": np.float32(2.5),
        "d": np.int64(7),
        "e": array[::2, 1:],
    }
    found = plain(read(pickle.dumps(collections.OrderedDict(shared), protocol)))
    assert list(found) == list(shared)
    for name, value in shared.items():
        assert np.array_equal(found[name], value)
    half = np.array([1, -2.5, 3e38], ml_dtypes.bfloat16)
    assert np.array_equal(read(pickle.dumps(half, protocol)).array(), half.astype(np.float32))


@pytest.mark.parametrize("protocol", PROTOCOLS[2:])
def test_mappings_of_haiku(protocol: int) -> None:
    with haiku_mapping() as mapping:
        data = pickle.dumps({"params": mapping({"a": {"w": np.ones(3)}})}, protocol)
    assert plain(read(data))["params"]["a"]["w"].tolist() == [1, 1, 1]


def test_a_file_that_haiku_and_jax_wrote() -> None:
    found = plain(read(zlib.decompress(base64.b85decode(HAIKU))))
    linear = found["params"]["net/~/linear"]
    assert linear["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert linear["b"] == 3
    assert found["state"]["ema"]["average"].tolist() == [1, 1]


# What is refused


class Calls:
    """Asks a reader of its pickle to call a function."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments, *([state] if state is not None else []))

    def __reduce__(self) -> Any:
        return self.reduced


class Slotted:
    """Its pickle makes it with `copyreg.__newobj__` or an opcode for that."""


def _object_array() -> Any:
    array = np.empty(2, object)
    array[:] = [Calls(os.system, "touch PWNED"), 1]
    return array


HOSTILE: dict[str, Callable[[], Any]] = {
    "system": lambda: Calls(os.system, "touch PWNED"),
    "eval": lambda: Calls(builtins.eval, "open('PWNED', 'w')"),
    "exec": lambda: Calls(builtins.exec, "open('PWNED', 'w')"),
    "import": lambda: Calls(builtins.__import__, "this"),
    "getattr": lambda: Calls(builtins.getattr, "text", "upper"),
    "popen": lambda: Calls(subprocess.Popen, ["touch", "PWNED"]),
    "open": lambda: Calls(io.open, "PWNED", "w"),
    "nested": lambda: {"params": {"a": [({"w": Calls(os.system, "touch PWNED")},)]}},
    "argument": lambda: Calls(collections.OrderedDict, Calls(os.system, "touch PWNED")),
    "state": lambda: Calls(collections.OrderedDict, state=Calls(os.system, "touch PWNED")),
    "object_array": _object_array,
    "load": lambda: Calls(np.load, "x.npy", None, True),
    "fromfile": lambda: Calls(np.fromfile, "/etc/passwd"),
    "subclass": lambda: np.ma.array([[1.0]]),
    "newobj": Slotted,
    "set": lambda: {1, 2},
    "frozenset": lambda: frozenset([1]),
    "complex": lambda: 1j,
    "range": lambda: range(3),
    "function": lambda: os.path.join,
    "class": lambda: dict,
    "datetime": lambda: np.array(["2020-01-01"], "datetime64[D]"),
    "text": lambda: np.array(["text"]),
    "records": lambda: np.zeros(2, [("a", "f4")]),
    "record_scalar": lambda: np.zeros(2, [("a", "f4")])[0],
    "keys": lambda: {("a", "b"): 1},
    "pairs": lambda: Calls(collections.OrderedDict, [("a", 1)]),
    "dtype_of_dtype": lambda: Calls(np.dtype, [("a", "f4")]),
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_data_is_refused(
    name: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "class":
        assert read(pickle.dumps(HOSTILE[name](), protocol)).name == "dict"  # a name, never a class
        return
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps(HOSTILE[name](), protocol)
    with pytest.raises(RefusedError):
        read(data)
    path = tmp_path / "hostile.pickle"
    path.write_bytes(data)
    with pytest.raises(DiagnosticError) as caught:
        read_pickle(path)
    assert [d.code for d in caught.value.diagnostics] == ["PG312"]
    assert [p.name for p in tmp_path.iterdir()] == ["hostile.pickle"]


def test_the_message_names_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.pickle"
    path.write_bytes(pickle.dumps({"a": Calls(os.system, "true")}))
    with pytest.raises(DiagnosticError, match=r"asks for `posix\.system`"):
        read_pickle(path)


MODULE = b"cno_such_module_of_anyone\nthing\n"

OPCODES: dict[str, bytes] = {
    "global": MODULE + b".",
    "stack_global": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "dotted": b"\x80\x04\x8c\x05numpy\x8c\x0ddtype.__new__\x93.",
    "instance": b"(ios\nsystem\n.",
    "instance_of_known": b"(icollections\nOrderedDict\n.",
    "object": b"(cos\nsystem\nS'true'\no.",
    "object_of_known": b"(ccollections\nOrderedDict\no.",
    "newobj": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "newobj_ex": b"\x80\x04ccollections\nOrderedDict\n)}\x92.",
    "persistent": b"P123\n.",
    "binary_persistent": b"I1\nQ.",
    "extension_1": b"\x80\x02\x82\x01.",
    "extension_2": b"\x80\x02\x83\x01\x00.",
    "extension_4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "out_of_band": b"\x80\x05\x97.",
    "read_only": b"\x80\x05\x97\x98.",
    "call_of_text": b"S'os.system'\n(tR.",
    "call_of_array_class": b"cnumpy\nndarray\n(I3\ntR.",
    "call_without_tuple": b"cnumpy\ndtype\n]R.",
    "build_on_name": b"cnumpy\ndtype\n}b.",
    "build_on_dict": b"}}S'a'\nI1\nsb.",
    "build_on_list": b"](I1\ntb.",
    "other_codec": b"c_codecs\nencode\n(V2b\nVhex\ntR.",
    "reconstructor": b"ccopy_reg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR.",
    "jax_of_system": b"cjax._src.array\n_reconstruct_array\n(cnumpy\ndtype\n(tN}tR.",
    "jax_of_list": b"cjax._src.array\n_reconstruct_array\n(](tN}tR.",
    "subtype_list": b"cnumpy.core.multiarray\n_reconstruct\n(](I0\ntS'b'\ntR.",
    "array_of_text": b"cnumpy.core.multiarray\nscalar\n(Vf4\nVabcd\ntR.",
    "too_many": b"cnumpy\ndtype\n(NNNNNtR.",
}


@pytest.mark.parametrize("name", OPCODES)
def test_opcodes_that_make_objects_are_refused(name: str) -> None:
    before = set(sys.modules)
    with pytest.raises(RefusedError):
        read(OPCODES[name])
    made = {module for module in set(sys.modules) - before if not module.startswith("encodings.")}
    assert not made  # but for codecs, which Python loads when text is read with them


def test_the_extension_registry_is_not_asked() -> None:
    copyreg.add_extension("posix", "system", 240)
    try:
        with pytest.raises(RefusedError, match="EXT1"):
            read(pickle.dumps(Calls(os.system, "true"), 2))
    finally:
        copyreg.remove_extension("posix", "system", 240)


def _array(shape: bytes, data: bytes, dtype: bytes = b"Vf4\n") -> bytes:
    """A pickle of an array, whatever it says of itself."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR(I1\n"
        + shape
        + b"cnumpy\ndtype\n("
        + dtype
        + b"I00\nI01\ntR(I3\nV<\nNNNI-1\nI-1\nI0\ntbI00\n"
        + data
        + b"tb."
    )


def _bytes(data: bytes) -> bytes:
    return b"C" + bytes([len(data)]) + data


def test_arrays_that_contradict_themselves() -> None:
    assert read(_array(b"(I2\nt", _bytes(bytes(8)))).array().tolist() == [0, 0]
    for shape, data, dtype in (
        (b"(I3\nt", bytes(8), b"Vf4\n"),
        (b"(I1\nt", bytes(8), b"Vf4\n"),
        (b"(I0\nt", b"", b"Vf4\n"),
        (b"(I-2\nt", bytes(8), b"Vf4\n"),
        (b"(L%d\nI0\nt" % 2**62, b"", b"Vf4\n"),
        (b"(L%d\nt" % 2**40, bytes(8), b"Vf4\n"),
        (b"]", bytes(8), b"Vf4\n"),
        (b"(Vx\nt", bytes(8), b"Vf4\n"),
        (b"(" + b"I1\n" * 40 + b"t", bytes(4), b"Vf4\n"),
        (b"(I1\nt", bytes(8), b"VO\n"),
        (b"(I1\nt", bytes(8), b"VO8\n"),
        (b"(I1\nt", bytes(8), b"VV8\n"),
        (b"(I1\nt", bytes(8), b"VU2\n"),
        (b"(I1\nt", bytes(8), b"V8f4\n"),
        (b"(I1\nt", bytes(8), b"N"),
        (b"(I1\nt", bytes(8), b"]"),
    ):
        with pytest.raises(RefusedError):
            read(_array(shape, _bytes(data), dtype))
    with pytest.raises(RefusedError):
        read(_array(b"(I2\nt", b"](cos\nsystem\nS'true'\ntRa"))
    with pytest.raises(RefusedError):
        read(_array(b"(I2\nt", b"](I1\nI2\ne"))


# What is broken


def _sample() -> bytes:
    return pickle.dumps({"a": {"w": np.ones((2, 3)), "b": np.float32(1)}, "c": [1, (2, "x")]}, 4)


def test_every_cut_is_noticed() -> None:
    whole = _sample()
    for length in range(len(whole)):
        with pytest.raises(BrokenError):
            read(whole[:length])


@given(st.binary(max_size=60))
def test_noise_never_does_more_than_fail(data: bytes) -> None:
    try:
        read(data)
    except (RefusedError, BrokenError):
        return


@settings(max_examples=300)
@given(st.data())
def test_damage_never_does_more_than_fail(data: st.DataObject) -> None:
    damaged = bytearray(_sample())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(damaged))
    except (RefusedError, BrokenError):
        return
