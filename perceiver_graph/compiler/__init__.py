"""The compiler: dims, IR, primitives, blocks, lowering, passes, backends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perceiver_graph.compiler.driver import Compiled, compile  # noqa: A004

__all__ = ["Compiled", "compile"]


def __getattr__(name: str) -> Any:
    """The driver is loaded when it is first asked for: its parts are useful without the whole."""
    if name in __all__:
        from perceiver_graph.compiler import driver

        return getattr(driver, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
