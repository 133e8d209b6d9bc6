"""Lines of Python that read a file of numbers and mend it, for messages."""

from __future__ import annotations

from collections.abc import Sequence

from perceiver_graph.runtime.opening import Source

MISSING = frozenset(("", "#n/a", "#na", "<na>", "n/a", "na", "nan", "none", "null"))
"""How files say that a value is not there, in lower case."""


def of_text(
    source: Source,
    delimiter: str | None,
    header: int = 0,
    columns: Sequence[int] = (),
    quoted: bool = False,
) -> str:
    """The expression that reads a text behind the line of its `header`; of all its columns, or of these.
    `quoted` is whether numbers stand in quotes, which numpy takes for what is missing."""
    path = repr(str(source.path) if source.is_file else "FILE.csv")
    options = [f"(line.replace('\"', '') for line in open({path}))" if quoted else path]
    if delimiter:
        options.append(f"delimiter={delimiter!r}")
    if header:
        options.append(f"skip_header={header}")
    if columns:
        options.append(f"usecols={tuple(columns)}")
    return f"numpy.genfromtxt({', '.join(options)}, ndmin=2)"


def of_array(source: Source, key: str = "") -> str:
    """The expression that reads an array, of an archive that under a key."""
    path = str(source.path) if source.is_file else "FILE.npz" if key else "FILE.npy"
    return f"numpy.load({path!r})" + f"[{key!r}]" * bool(key)


def without_missing(read: str, masked: str = "", fixed: bool = False) -> str:
    """What to do about values that are not there in what an expression reads; `masked` is the input that
    takes a mask of its rows, if it does. Of a `fixed` number of rows, none may be left out."""
    lack = "numpy.isnan(t).any(axis=1)"
    out = f"leave out the rows that lack a value, `numpy.save('filled.npy', t[~{lack}])`, or "
    help = (
        f"read it with `t = {read}`, and {'' if fixed else out}choose a number in its place, "
        "`numpy.save('filled.npy', numpy.where(numpy.isnan(t), 0, t))`"
    )
    mask = f", or mask these rows, `numpy.savez('filled.npz', {masked}=t, mask=~{lack})`"
    return help + mask if masked else help
