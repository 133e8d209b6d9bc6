"""Names in emitted files: legal, readable, and never those of Python, torch or nn.Module."""

from __future__ import annotations

import builtins
import keyword
import re

from perceiver_graph.compiler.backends.torch.copying import library
from perceiver_graph.compiler.ops import PRIMITIVES

LANGUAGE = frozenset({*dir(builtins), *keyword.kwlist, *keyword.softkwlist, "annotations", "self"})
RESERVED = LANGUAGE | library().imports.keys()
"""What no variable may be called."""

MODULE_ATTRIBUTES = frozenset(
    {
        "T_destination",
        "add_module",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "compile",
        "cpu",
        "cuda",
        "double",
        "dump_patches",
        "eval",
        "extra_repr",
        "float",
        "forward",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "ipu",
        "load_state_dict",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "parameters",
        "register_backward_hook",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook",
        "register_module",
        "register_parameter",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "requires_grad_",
        "set_extra_state",
        "set_submodule",
        "share_memory",
        "state_dict",
        "to",
        "to_empty",
        "train",
        "training",
        "type",
        "xpu",
        "zero_grad",
    }
)
"""What every nn.Module has: a sub-module or parameter of such a name is reached another way."""

DICT_ATTRIBUTES = MODULE_ATTRIBUTES | {"clear", "items", "keys", "pop", "update", "values"}
"""What nn.ModuleDict has: it refuses these as keys."""

_GENERIC = frozenset({*PRIMITIVES, "masked", "output", "padded", "residual", "with_position"})


def identifier(text: str) -> str:
    """A variable name close to the text: `image.present` -> `image_present`, `input` -> `input_`."""
    name = re.sub(r"\W+", "_", text).strip("_").lower() or "x"
    if name[0].isdigit():
        name = f"x{name}"
    return f"{name}_" if name in RESERVED else name


def last_part(value_name: str) -> str:
    """The last component of a value's name without the number that made it unique."""
    return re.sub(r"_\d+$", "", value_name.rsplit("/", 1)[-1])


def informative(value_name: str) -> bool:
    """Whether the last component of a value's name says more than which primitive made it."""
    return last_part(value_name) not in _GENERIC


def pascal(text: str) -> str:
    """A class name: `vision-perceiver.conv` -> `VisionPerceiverConv`."""
    words = re.findall(r"[^\W_]+", text)
    name = "".join(word[0].upper() + word[1:] for word in words) or "Model"
    return f"Model{name}" if name[0].isdigit() else name


def unique(wanted: str, taken: set[str] | frozenset[str], separator: str = "_") -> str:
    """The name, with a number at its end if it is taken."""
    candidate, count = wanted, 1
    while candidate in taken:
        count += 1
        candidate = f"{wanted}{separator}{count}"
    return candidate


def is_attribute(name: str, taken: frozenset[str] = frozenset()) -> bool:
    """Whether `self.<name>` can hold a sub-module or parameter."""
    usable = name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
    return usable and name not in MODULE_ATTRIBUTES and name not in taken
