"""The kinds of media of the package: to import this is to know them all.

The manifest of an artifact repeats what a spec says of them as it is, so that a kind is declared once.
"""

from importlib import import_module

from perceiver_graph.media.base import InputMedia, OutputMedia

# Messages and the schema name them in this order.
_FOLDERS = (
    *("clip", "image", "classes", "text", "flow", "labels"),
    *("span", "points", "table", "boxes", "scores"),
)
for _folder in _FOLDERS:
    import_module(f"perceiver_graph.media.{_folder}.model")

__all__ = ["InputMedia", "OutputMedia"]
