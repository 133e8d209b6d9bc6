"""Reads pickles of arrays without unpickling: a small machine follows the opcodes and builds data.

A pickle is a program. Nothing that it names is imported or called here: what arrays and mappings
are made with is known by name (`pickled.py`), and every other name and opcode ends the reading.
"""

from __future__ import annotations

import pickletools
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from perceiver_graph.compiler.importing.pickled import (
    Global,
    RefusedError,
    build,
    call,
    is_known,
    key,
)
from perceiver_graph.compiler.weights.files import unreadable
from perceiver_graph.diagnostics import DiagnosticError, quote

_LINE = 1 << 16  # bytes of a line of a text pickle, which holds a number or a name
_STEPS = 2_000_000  # opcodes; the largest file released has some ten thousand

_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class BrokenError(Exception):
    """The pickle ends early or makes no sense."""


def read_pickle(path: Path) -> Any:
    """What a pickle holds: dict, list, tuple, str, bytes, numbers, None and `Pickled` arrays.

    Raises DiagnosticError: PG301 for a file that cannot be read or is damaged, PG312 for a pickle
    that asks for anything else.
    """
    try:
        with path.open("rb") as file:
            return follow(file, path.stat().st_size)
    except OSError as error:
        raise unreadable(path, error) from None
    except RefusedError as refused:
        raise more_than_data(
            path,
            refused,
            "load it where it was written, and save its parameters as plain numpy arrays in "
            "dictionaries",
        ) from None
    except BrokenError as error:
        raise DiagnosticError.of(
            "PG301",
            f"{quote(path)} is no complete pickle: {error}",
            help="copy or download it again",
        ) from None


def more_than_data(path: Path, refused: RefusedError, help: str) -> DiagnosticError:
    """For a pickle that asks for anything but data (PG312)."""
    return DiagnosticError.of(
        "PG312",
        f"{quote(path)} asks for {refused}, and only data is read",
        notes=["nothing of it was imported or called"],
        help=help,
    )


def follow(file: BinaryIO, size: int, machine: Machine | None = None) -> Any:
    """The value that a pickle of so many bytes makes. Raises RefusedError or BrokenError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what pickletools decodes in noise
            return _follow(_Bounded(file, size), machine or Machine(size))
    except (ValueError, OverflowError) as error:  # what it says of malformed arguments
        raise BrokenError(str(error)[:200]) from None


def _follow(source: Any, machine: Machine) -> Any:
    for count, (opcode, argument, _) in enumerate(pickletools.genops(source)):
        if opcode.name == "STOP":
            return machine.pop()
        if count == _STEPS:
            raise BrokenError(f"it has more than {_STEPS} opcodes")
        machine.step(opcode.name, argument)
    raise BrokenError("it ends before its last opcode")


class _Bounded:
    """A file of which nothing is read beyond its end: a length of 2**60 allocates nothing."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, count: int) -> bytes:
        if not 0 <= count <= self._left:
            raise BrokenError(f"{count} bytes are announced and {self._left} are left")
        self._left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        line = self._file.readline(min(self._left, _LINE))
        self._left -= len(line)
        return line


class Machine:
    """The stack and the memo of a pickle, and what each opcode does to them.

    What names stand for is said by three methods: here, what arrays of numpy and jax are made with.
    """

    def __init__(self, size: int) -> None:
        self._unfolded = size
        """Bytes that may still be made of text: no honest file makes more than it has."""
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Follow one opcode. Raises RefusedError for one that data does not need."""
        if name in _VALUES:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        else:
            handler = getattr(self, f"_op_{name.lower()}", None)
            if handler is None:
                raise RefusedError(f"the opcode `{name}`")
            handler(argument)

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def pop(self) -> Any:
        """Take the last value from the stack."""
        if not self._stack:
            raise BrokenError("its stack is empty")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack:
            raise BrokenError("its stack is empty")
        return self._stack[-1]

    def _pop_mark(self) -> list[Any]:
        """What was pushed since the last mark."""
        if not self._marked:
            raise BrokenError("a mark is missing")
        found, self._stack = self._stack, self._marked.pop()
        return found

    def _op_proto(self, version: int) -> None:
        if version > 5:
            raise BrokenError(f"its protocol is {version}, and 5 is the last")

    def _op_frame(self, length: int) -> None:
        """Frames only say how much to read ahead."""

    def _op_mark(self, _: None) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _op_pop(self, _: None) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _op_pop_mark(self, _: None) -> None:
        self._pop_mark()

    def _op_dup(self, _: None) -> None:
        self._stack.append(self._top())

    # What names stand for

    def is_known(self, name: Global) -> bool:
        """Whether the pickle may name this."""
        return is_known(name)

    def call(self, function: Global, arguments: tuple[Any, ...]) -> Any:
        """What a known function makes of its arguments. Raises RefusedError."""
        return call(function, arguments)

    def build(self, target: Any, state: Any) -> None:
        """Give an object its state. Raises RefusedError."""
        build(target, state)

    # Containers

    def _op_empty_list(self, _: None) -> None:
        self._stack.append([])

    def _op_list(self, _: None) -> None:
        items = self._pop_mark()
        self._stack.append(items)

    def _op_append(self, _: None) -> None:
        item = self.pop()
        self._extend([item])

    def _op_appends(self, _: None) -> None:
        self._extend(self._pop_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not list:
            raise BrokenError("it appends to what is no list")
        target.extend(items)

    def _op_empty_tuple(self, _: None) -> None:
        self._stack.append(())

    def _op_tuple(self, _: None) -> None:
        items = self._pop_mark()
        self._stack.append(tuple(items))

    def _op_tuple1(self, _: None) -> None:
        self._tuple(1)

    def _op_tuple2(self, _: None) -> None:
        self._tuple(2)

    def _op_tuple3(self, _: None) -> None:
        self._tuple(3)

    def _tuple(self, length: int) -> None:
        items = [self.pop() for _ in range(length)]
        self._stack.append(tuple(reversed(items)))

    def _op_empty_dict(self, _: None) -> None:
        self._stack.append({})

    def _op_dict(self, _: None) -> None:
        items = self._pop_mark()
        self._stack.append({})
        self._update(items)

    def _op_setitem(self, _: None) -> None:
        value, name = self.pop(), self.pop()
        self._update([name, value])

    def _op_setitems(self, _: None) -> None:
        self._update(self._pop_mark())

    def _update(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not dict or len(items) % 2:
            raise BrokenError("it sets items of what is no dictionary")
        for name, value in zip(items[::2], items[1::2], strict=True):
            target[key(name)] = value

    # The memo

    def _op_put(self, index: int) -> None:
        self._memo[index] = self._top()

    _op_binput = _op_long_binput = _op_put

    def _op_memoize(self, _: None) -> None:
        self._memo[len(self._memo)] = self._top()

    def _op_get(self, index: int) -> None:
        if index not in self._memo:
            raise BrokenError("it refers to what it never made")
        self._stack.append(self._memo[index])

    _op_binget = _op_long_binget = _op_get

    # Objects

    def _op_global(self, both: str) -> None:
        module, _, name = both.partition(" ")
        self._push_global(module, name)

    def _op_stack_global(self, _: None) -> None:
        name, module = self.pop(), self.pop()
        if type(name) is not str or type(module) is not str:
            raise BrokenError("a name is no text")
        self._push_global(module, name)

    def _push_global(self, module: str, name: str) -> None:
        found = Global(module, name)
        if not self.is_known(found):
            raise RefusedError(quote(f"{module}.{name}"))
        self._stack.append(found)

    def _op_reduce(self, _: None) -> None:
        arguments, function = self.pop(), self.pop()
        if type(function) is not Global or type(arguments) is not tuple:
            raise RefusedError("a call of what is no function")
        result = self.call(function, arguments)
        if type(result) is bytes:
            self._unfolded -= len(result)
            if self._unfolded < 0:
                raise BrokenError("it unfolds to more than its size")
        self._stack.append(result)

    def _op_build(self, _: None) -> None:
        state = self.pop()
        self.build(self._top(), state)
