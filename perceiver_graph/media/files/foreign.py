"""Files that are of another kind than what is read: what they are called."""

from __future__ import annotations

from perceiver_graph.formats import known

MEDIA, PICTURE = "a media file", "a picture"


def foreign(head: bytes) -> str | None:
    """What the first bytes of a file say that it is, if that is known: media are called by their kind,
    since it is who reads them that could not."""
    found = known(head)
    if found is None:
        return None
    return {"picture": PICTURE, "media": MEDIA}.get(found.kind, found.name)
