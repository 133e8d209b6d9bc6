"""Something read ahead in a thread of its own, so that who takes it need not wait for the next."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")
_PAUSE = 0.1  # seconds after which a thread that waits for room looks whether it is still wanted


class Ahead(Generic[T]):
    """Reads up to `most` things ahead of who takes them. A context manager: nothing is read after it."""

    def __init__(self, source: Iterable[T], most: int) -> None:
        self._source = source
        self._queue: queue.Queue[tuple[str, Any]] = queue.Queue(most)
        self._stopped = threading.Event()
        self.ended = False
        """Whether all has been taken."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._fill, name="reading ahead", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()

    def take(self, *, wait: bool) -> T | None:
        """The next thing; None at the end or, without `wait`, where it is not there yet.

        Raises what reading raised.
        """
        if self.ended:
            return None
        try:
            kind, value = self._queue.get(block=wait)
        except queue.Empty:
            return None
        if kind == "thing":
            found: T = value
            return found
        self.ended = True
        if kind == "error":
            raise value
        return None

    def _fill(self) -> None:
        try:
            for thing in self._source:
                self._put("thing", thing)
                if self._stopped.is_set():
                    return
            self._put("end", None)
        except BaseException as error:  # noqa: BLE001 - it is raised where the next thing is taken
            self._put("error", error)

    def _put(self, kind: str, value: object) -> None:
        put = False
        while not put and not self._stopped.is_set():
            try:
                self._queue.put((kind, value), timeout=_PAUSE)
                put = True
            except queue.Full:
                continue
