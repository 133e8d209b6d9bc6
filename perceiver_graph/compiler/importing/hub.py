"""Checkpoints by name: the files of a model on the Hugging Face hub, or on a mirror of it.

huggingface_hub downloads and keeps them in its cache (HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE and HF_TOKEN mean
what they mean everywhere). Here stands which files a Perceiver needs, and what is said when they cannot
be had (`hub_errors.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perceiver_graph.compiler.importing import hub_errors, torch_files
from perceiver_graph.compiler.importing.classes import PUBLISHED
from perceiver_graph.compiler.importing.preprocessing import PICTURES, PROCESSORS
from perceiver_graph.compiler.weights import transformers
from perceiver_graph.compiler.weights.folders import INDEX, WEIGHTS
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.spec.model_names import as_model_name
from perceiver_graph.storage import is_here
from perceiver_graph.version import __version__

SCHEME = "hf://"
"""What begins a name that is never taken for a path: `hf://deepmind/language-perceiver@main`."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_FILES = re.compile(
    r"\.(?:safetensors|bin|pt|pth|ckpt|pkl|pickle|pystate|npz|json|ya?ml|zip)", re.I
)
_OF_PICTURES = "PerceiverForImageClassification"


@dataclass(frozen=True)
class Snapshot:
    """The files of a model at one commit, on this machine."""

    repository: str
    commit: str
    folder: Path
    notes: tuple[str, ...] = ()
    """What a person should know of where they come from."""

    @property
    def model_name(self) -> str | None:
        """What a spec of it may be called."""
        return as_model_name(self.repository.rpartition("/")[2])

    def __str__(self) -> str:
        return f"{self.repository}@{self.commit[:12]}"


def is_name(text: str) -> bool:
    """Whether a text looks like the name of a model on a hub: `deepmind/language-perceiver`."""
    last = Path(text).suffix
    return text.startswith(SCHEME) or bool(_NAME.fullmatch(text) and not _FILES.fullmatch(last))


def find(text: str, **options: Any) -> Path | Snapshot:
    """What a text stands for: a path, or a model of a hub, downloaded with the `options` of `download`.

    What is here goes before what a hub has. Raises DiagnosticError as `download`.
    """
    owner = text.partition("/")[0]
    slip = text not in PUBLISHED and is_here(owner)  # in a path
    if is_here(text) or not is_name(text) or slip:
        return Path(text)
    try:
        return download(text, **options)
    except DiagnosticError as error:
        if text.startswith(SCHEME):
            raise
        raise error.with_note(f"there is no file or folder {quote(text)} here, either") from None


def download(
    name: str,
    *,
    revision: str | None = None,
    cache: str | Path | None = None,
    token: str | bool | None = None,
    offline: bool = False,
    whatever: bool = False,
) -> Snapshot:
    """Get what a Perceiver needs of a model, from the hub or from what an earlier download has left.

    `revision` is a branch, a tag or a commit. `offline`: nothing is asked of the hub. `token` and
    `cache` replace those of huggingface_hub. `whatever`: models of other types too, a part of which
    may be meant. Raises DiagnosticError: PG314 where there is no such model, PG315 where it is not
    for everybody, PG316 where it cannot be reached, PG306 for what is no Perceiver, PG509 without
    huggingface_hub.
    """
    repository, at = _parts(name)
    if revision and at and revision != at:
        raise DiagnosticError.of(
            "PG314",
            f"{quote(name)} says `{at}`, and the revision that is asked for is {quote(revision)}",
        )
    source = _Source.of(repository, revision or at or "main", cache, token, offline)
    config = source.find(transformers.CONFIG)
    if config is None:
        raise hub_errors.no_file(source.request, transformers.CONFIG)
    settings = transformers.read_json(config)
    if not whatever and settings.get("model_type") != "perceiver":
        raise hub_errors.no_perceiver(source.request, settings.get("model_type"))
    for file in (PICTURES, PROCESSORS):
        if (
            source.find(file) is None
            and file == PICTURES
            and str(_class(settings)).startswith(_OF_PICTURES)
        ):
            source.note_unknown(file)
    _weights(source)
    return Snapshot(repository, config.parent.name, config.parent, tuple(source.notes))


def _class(settings: dict[str, Any]) -> Any:
    listed = settings.get("architectures")
    return listed[0] if isinstance(listed, list) and listed else None


def _parts(name: str) -> tuple[str, str | None]:
    """The repository and, behind `@`, the revision. Raises DiagnosticError (PG314)."""
    repository, _, revision = name.removeprefix(SCHEME).partition("@")
    if not _NAME.fullmatch(repository) or "--" in repository or ".." in repository:
        raise DiagnosticError.of(
            "PG314",
            f"{quote(name)} is no name of a model",
            help=f"a name has an owner and a model: `{PUBLISHED[0]}`, `{SCHEME}{PUBLISHED[0]}@main`",
        )
    return repository, revision or None


def _weights(source: _Source) -> None:
    """Get the files of weights, in the order in which transformers looks for them."""
    for whole, index in ((WEIGHTS, INDEX), (torch_files.WEIGHTS, torch_files.INDEX)):
        if source.find(whole) is not None:
            return
        found = source.find(index)
        if found is not None:
            listed = transformers.read_json(found).get("weight_map")
            names = set(listed.values()) if isinstance(listed, dict) else set()
            for file in sorted(str(name) for name in names):
                if re.fullmatch(r"[\w.-]+", file) and source.find(file) is None:
                    raise hub_errors.no_file(source.request, file)
            return  # what is wrong with the index is told when it is read
    raise hub_errors.no_file(source.request, WEIGHTS)


@dataclass
class _Source:
    """One revision of a repository, and how its files are had."""

    request: hub_errors.Request
    options: dict[str, Any]
    notes: list[str]

    @classmethod
    def of(
        cls,
        repository: str,
        revision: str,
        cache: str | Path | None,
        token: str | bool | None,
        offline: bool,
    ) -> _Source:
        """Ask the hub once whether it has the model; where it does not answer, the cache may."""
        _require()
        if cache is not None and Path(cache).is_file():
            raise hub_errors.no_folder(cache)
        from huggingface_hub import constants, errors, get_hf_file_metadata, hf_hub_url

        about: dict[str, Any] = {
            "library_name": "perceiver-graph",
            "library_version": __version__,
            "token": token,
        }
        request = hub_errors.Request(repository, revision, str(constants.ENDPOINT), offline)
        options = {**about, "repo_id": repository, "revision": revision, "cache_dir": cache}
        source = cls(request, options | {"local_files_only": offline}, [])
        if offline:
            return source
        if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", request.endpoint):
            raise hub_errors.no_address(request)
        url = hf_hub_url(repository, transformers.CONFIG, revision=revision)

        def ask() -> None:
            with suppress(errors.EntryNotFoundError):  # told where the file is looked for
                get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT, **about)

        try:
            _told(request, ask)
        except DiagnosticError as error:
            source.options["local_files_only"] = True
            if hub_errors.is_absent(error) or source._cached() is None:
                raise
            reason = error.diagnostics[0].message
            source.notes.append(f"{reason}: what an earlier download has left was read")
        return source

    def find(self, file: str) -> Path | None:
        """A file of the model, downloaded if it is not there yet; None where the model has none."""
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        try:
            path = _told(self.request, lambda: hf_hub_download(filename=file, **self.options))
        except LocalEntryNotFoundError:  # nothing was asked of the hub
            if file == transformers.CONFIG:
                raise hub_errors.not_kept(self.request) from None
            return None
        except EntryNotFoundError:
            return None
        found = Path(path)
        self.options["revision"] = found.parent.name  # all others are of the same commit
        return found

    def note_unknown(self, file: str) -> None:
        """Say that a file may be there that nobody has asked for yet."""
        from huggingface_hub import try_to_load_from_cache

        if not self.options["local_files_only"]:
            return
        known = try_to_load_from_cache(
            self.request.repository,
            file,
            cache_dir=self.options["cache_dir"],
            revision=self.options["revision"],
        )
        if known is None:
            self.notes.append(
                f"whether there is a {file} was never asked: pictures are prepared as usual"
            )

    def _cached(self) -> Path | None:
        try:
            return self.find(transformers.CONFIG)
        except DiagnosticError:
            return None


def _told(request: hub_errors.Request, ask: Callable[[], Any]) -> Any:
    """The answer of the hub; a failure as a diagnostic, other than that a file is not there."""
    from huggingface_hub import errors

    # Whichever library of HTTP is below: the base of its errors is one of those.
    failures: tuple[type[Any], ...] = (*errors.HfHubHTTPError.__bases__, ValueError)
    try:
        return ask()
    except errors.EntryNotFoundError as error:
        if isinstance(error, errors.LocalEntryNotFoundError) and not request.offline:
            cause = error.__cause__
            if cause is not None and not isinstance(cause, errors.OfflineModeIsEnabled):
                raise hub_errors.told(request, cause) from None
        raise
    except failures as error:
        raise hub_errors.told(request, error) from None


def _require() -> None:
    """Raises DiagnosticError (PG509) without huggingface_hub."""
    try:
        import huggingface_hub  # noqa: F401
    except ImportError as error:
        raise hub_errors.no_package(error) from None
