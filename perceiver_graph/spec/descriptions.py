"""What the keys of a spec mean: the docstrings under the fields of the models.

pydantic can collect them itself (`use_attribute_docstrings`), at every start; they are read here
when somebody asks, which is for the JSON Schema, the documentation and some messages.
"""

from __future__ import annotations

import ast
import inspect
from functools import cache

from pydantic import BaseModel


@cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """The description of each field of a model by its key, inherited ones included."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if issubclass(cls, BaseModel) and cls is not BaseModel:
            body = ast.parse(inspect.getsource(cls)).body[0]
            assert isinstance(body, ast.ClassDef)
            found |= _under_fields(body)
    return {name: found[name] for name in model.model_fields if name in found}


def _under_fields(body: ast.ClassDef) -> dict[str, str]:
    """The strings that directly follow annotated names."""
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                value=ast.Constant(value=str(words))
            ):
                found[name] = inspect.cleandoc(words)
    return found
