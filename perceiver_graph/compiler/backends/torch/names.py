"""Names in emitted files: legal, readable, and never those of Python, torch or nn.Module.

Values are called after the blocks, inputs and parameters they come from.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable, Container, Mapping, Sequence

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch.calls import Call, Item, Keep
from perceiver_graph.compiler.backends.torch.copying import library
from perceiver_graph.compiler.backends.torch.extents import Extent, Reading
from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import PRIMITIVES

LANGUAGE = frozenset({*dir(builtins), *keyword.kwlist, *keyword.softkwlist, "annotations", "self"})
RESERVED = LANGUAGE | library().names | {"load"}
"""What no variable may be called: names of Python, and those that the file has or may have."""

_OF_MODULES = """
T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda
double dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter
get_submodule half ipu load_state_dict modules mtia named_buffers named_children
named_modules named_parameters parameters register_backward_hook register_buffer
register_forward_hook register_forward_pre_hook register_full_backward_hook
register_full_backward_pre_hook register_load_state_dict_post_hook
register_load_state_dict_pre_hook register_module register_parameter
register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state
set_submodule share_memory state_dict to to_empty train training type xpu zero_grad
"""

MODULE_ATTRIBUTES = frozenset(_OF_MODULES.split())
"""What every nn.Module has: a sub-module or parameter of such a name is reached another way."""

_OF_DICTS = "clear copy fromkeys get items keys pop popitem setdefault update values"
DICT_ATTRIBUTES = MODULE_ATTRIBUTES.union(_OF_DICTS.split())
"""What nn.ModuleDict and nn.ParameterDict have: they refuse these as keys."""

_OF_STEPS = """
activated dense1 dense2 hidden linear mask_tokens masked output padded padding.rows padding.tokens
position.batch query_batch residual with_position
"""
_GENERIC = frozenset({*PRIMITIVES, *_OF_STEPS.split()})
"""What is said of what is made of a value, which keeps the value's name."""


CACHING = ("cache", "at", "i")
"""Variables of methods that take the cache: it, where in it their keys are, and the index of a layer."""


def identifier(text: str) -> str:
    """A variable name close to the text: `image.present` -> `image_present`, `input` -> `input_`."""
    name = re.sub(r"\W+", "_", text).strip("_").lower() or "x"
    if name[0].isdigit():
        name = f"x{name}"
    return f"{name}_" if name in RESERVED else name


def last_part(value_name: str) -> str:
    """The last component of a value's name without the number that made it unique."""
    return re.sub(r"_\d+$", "", value_name.rsplit("/", 1)[-1])


def parts_of(path: str) -> list[str]:
    """The names in the path of a parameter or module, without numbers."""
    return [part for part in path.split(".") if not part.isdigit()]


def informative(value_name: str) -> bool:
    """Whether the last component of a value's name says more than what was done to another."""
    name = last_part(value_name)
    return name not in _GENERIC and not name.endswith("norm")


def pascal(text: str) -> str:
    """A class name: `vision-perceiver.conv` -> `VisionPerceiverConv`."""
    words = re.findall(r"[^\W_]+", text)
    name = "".join(word[0].upper() + word[1:] for word in words) or "Model"
    return f"Model{name}" if name[0].isdigit() else name


def unique(wanted: str, taken: Container[str], separator: str = "_") -> str:
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


def label_values(
    items: Sequence[Item], given: Mapping[Value, str], leaf: Callable[[Value], str]
) -> dict[Value, str]:
    """Labels for all that items compute, in order. `given` are arguments, which have a name, and
    `leaf` names what is no argument and computed nowhere here."""
    found = dict(given)

    def of(value: Value) -> str:
        return found[value] if value in found else leaf(value)

    for item in items:
        if isinstance(item, Call):
            found |= zip(item.outputs, _results(item, of), strict=True)
        elif isinstance(item, Keep):
            continue
        elif isinstance(item, Reading):
            found[item.output] = identifier(item.output.name)
        elif informative(item.name):
            found[item.output] = identifier(last_part(item.name))
        else:
            source = _changed(item, given)
            found[item.output] = of(source) if source else identifier(item.op.name)
    return found


def _changed(node: Node, given: Mapping[Value, str]) -> Value | None:
    """The operand of which a value is a new version, for a sum an argument if there is one."""
    match node.op:
        case ops.Add():
            return next((value for value in node.inputs if value in given), node["a"])
        case ops.Where():
            return node["a"]
    return next(iter(node.inputs), None)


def _results(call: Call, of: Callable[[Value], str]) -> list[str]:
    """A block that the spec names gives its name. Others return what they were given, changed."""
    if len(call.outputs) != 1:
        names: list[str] = []
        for value in call.outputs:
            names.append(unique(identifier(last_part(value.name)), names))
        return names
    own = call.scope[-1]
    is_named = not call.block.kind.removesuffix("Layer").endswith(pascal(own))
    if is_named and not any(c.isdigit() for c in own):
        return [identifier(own)]
    alike = [value for value in call.inputs if value.type == call.outputs[0].type]
    return [of(value) for value in (*alike, *call.inputs)][:1] or [identifier(own)]


def parameter_name(name: str) -> str:
    """`latents`; for the parameter of a layer the layer's name too: `embedding_weight`."""
    parts = parts_of(name)
    keep = 2 if parts[-1] in ("weight", "bias") else 1
    return identifier("_".join(parts[-keep:]))


def argument_names(call: Call, callers: Sequence[Sequence[str]]) -> list[str]:
    """What the arguments of a method are called, given what they are called where it is."""
    names: list[str] = []
    taken = CACHING if call.caches else ()
    for value, *labels in zip(call.inputs, *callers, strict=True):
        same = len(set(labels)) == 1
        wanted = labels[0] if same else _by_reader(call, value)
        names.append(unique(wanted, {*names, *taken}))
    return names


def _by_reader(call: Call, value: Value) -> str:
    """After the norm that reads the value first: `query` for what goes into `query_norm`."""
    if isinstance(value, Extent):
        return "size"
    for item in call.items:
        if value in item.inputs and isinstance(item, Call):
            return _by_reader(item, value)
        if value in item.inputs and isinstance(item, Node):
            name = last_part(item.name).removesuffix("_norm")
            is_norm = isinstance(item.op, ops.LayerNorm) and name != last_part(item.name)
            return identifier(name) if is_norm and name not in RESERVED else "x"
    return "x"
