"""What is said when a model cannot be had from a hub: what, why, and what would work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perceiver_graph.compiler.importing.classes import PUBLISHED
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import command, named, setting, shell
from perceiver_graph.diagnostics.words import did_you_mean

_WRONG_TOKEN = "Invalid credentials"
OFFICIAL = "https://huggingface.co"


@dataclass(frozen=True)
class Request:
    """What was asked for, and of whom."""

    repository: str
    revision: str
    endpoint: str
    offline: bool

    @property
    def page(self) -> str:
        return f"{self.endpoint}/{self.repository}"

    @property
    def hub(self) -> str:
        """The hub in a sentence."""
        return "the hub" if self.endpoint == OFFICIAL else f"the hub at {self.endpoint}"


def is_absent(error: DiagnosticError) -> bool:
    """Whether the hub has answered that there is no such revision: no cache is asked then."""
    first = error.diagnostics[0]
    return first.code == "PG314" and "revision" in first.message


def told(request: Request, error: BaseException) -> DiagnosticError:
    """A failure of huggingface_hub, or of the library of HTTP below it, as a diagnostic."""
    from huggingface_hub import errors

    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    known = response is None or _WRONG_TOKEN in response.headers.get("X-Error-Message", "")
    match error:
        case errors.GatedRepoError():
            return _gated(request)
        case errors.DisabledRepoError():
            return DiagnosticError.of(
                "PG315",
                f"{quote(request.repository)} was disabled: {request.hub} does not give it out",
            )
        case errors.RepositoryNotFoundError():
            return _no_repository(request)
        case errors.RevisionNotFoundError():
            return _no_revision(request)
        case errors.OfflineModeIsEnabled():
            return not_kept(request, set_by="HF_HUB_OFFLINE")
        case errors.FileMetadataError():
            return _no_hub(request, error)
        case _ if (
            status == 401 and not known
        ):  # what a hub says of a model to whom it does not know
            return _no_repository(request)
        case _ if status in (401, 403):
            return _no_entry(request, status)
        case OSError(errno=int()):
            return _no_room(error)
        case errors.HfHubHTTPError():
            return _out_of_order(request, status)
        case _:
            return _unreachable(request, error)


def _offline() -> str:
    return named("--offline", "offline=True")


def no_file(request: Request, file: str) -> DiagnosticError:
    """For a repository without a file that a Perceiver of transformers has."""
    if request.offline:
        return DiagnosticError.of(
            "PG316",
            f"the cache has no {file} of {quote(request.repository)}: its download was not finished",
            help=f"leave out {_offline()} once, with a network",
        )
    return DiagnosticError.of(
        "PG306",
        f"{quote(request.repository)} has no {file}, so it is no model that transformers saved",
        notes=[f"what it has: {request.page}/tree/{request.revision}"],
        help="a Perceiver in another file is imported from that file: "
        + shell("hf", "download", request.repository, "FILE", "--local-dir", "DIR")
        + f", then {command('import', 'DIR/FILE')}",
    )


def no_perceiver(request: Request, kind: Any) -> DiagnosticError:
    """For a model of another type."""
    return DiagnosticError.of(
        "PG306",
        f"{quote(request.repository)} is a model of the type {quote(kind or 'none')}, not `perceiver`",
        notes=[f"published Perceivers: {', '.join(PUBLISHED)}"],
        help=f"a Perceiver that is a part of it is imported with {setting('--prefix', 'TEXT')}",
    )


def not_kept(request: Request, set_by: str = "") -> DiagnosticError:
    """For a model that is not in the cache, where the hub may not be asked."""
    how = f"unset {set_by}" if set_by else f"leave out {_offline()}"
    return DiagnosticError.of(
        "PG316",
        f"{quote(request.repository)} at {quote(request.revision)} is not in the cache, and "
        f"{quote(set_by) if set_by else _offline()} keeps from asking {request.hub}",
        help=f"{how} once, with a network; what was downloaded stays in the cache",
    )


def no_folder(cache: object) -> DiagnosticError:
    """For a cache that is a file."""
    return DiagnosticError.of(
        "PG316",
        f"{quote(str(cache))} is a file, and what is downloaded is kept in a folder",
        help=f"name a folder: {setting('--cache', 'DIR')}",
    )


def no_address(request: Request) -> DiagnosticError:
    """For a hub that is no address."""
    return DiagnosticError.of(
        "PG316",
        f"HF_ENDPOINT is {quote(request.endpoint)}, and no address of a hub",
        help=f"write one, as in HF_ENDPOINT={OFFICIAL}, or unset it",
    )


def no_package(error: ImportError) -> DiagnosticError:
    """Without huggingface_hub (PG509)."""
    return DiagnosticError.of(
        "PG509",
        "models of a hub need huggingface_hub, which is not installed",
        notes=[str(error)],
        help=shell("pip", "install", "perceiver-graph[hub]"),
    )


_TOKEN = f"{shell('hf', 'auth', 'login')}, set HF_TOKEN"


def _with_token() -> str:
    return f"{_TOKEN}, or give {setting('--token', 'TOKEN')}"


def _gated(request: Request) -> DiagnosticError:
    return DiagnosticError.of(
        "PG315",
        f"{quote(request.repository)} is gated: its owner lets in who has asked",
        help=f"ask at {request.page}, then say who you are: {_with_token()}",
    )


def _no_repository(request: Request) -> DiagnosticError:
    near = did_you_mean(request.repository, PUBLISHED)
    private = f"if it is private, say who you are: {_with_token()}"
    return DiagnosticError.of(
        "PG314",
        f"{request.hub} has no model {quote(request.repository)} that everybody may read",
        notes=[f"published Perceivers: {', '.join(PUBLISHED)}"],
        help=near or private,
    )


def _no_revision(request: Request) -> DiagnosticError:
    return DiagnosticError.of(
        "PG314",
        f"{quote(request.repository)} has no revision {quote(request.revision)}",
        help=f"a branch, a tag or a commit of {request.page}/commits/main; without one it is `main`",
    )


def _no_entry(request: Request, status: int) -> DiagnosticError:
    why = "does not accept the token" if status == 401 else "does not let this token in"
    return DiagnosticError.of(
        "PG315",
        f"{request.hub} {why} ({status}) for {quote(request.repository)}",
        help=f"make one that may read it at {request.endpoint}/settings/tokens: {_with_token()}",
    )


def _no_hub(request: Request, error: BaseException) -> DiagnosticError:
    return DiagnosticError.of(
        "PG316",
        f"{request.endpoint} answers, but not as a hub does",
        notes=[_first_line(error)],
        help="HF_ENDPOINT names the hub or a mirror of it; a proxy or a firewall may have answered",
    )


def _out_of_order(request: Request, status: int | None) -> DiagnosticError:
    return DiagnosticError.of(
        "PG316",
        f"{request.hub} answers with an error ({status})",
        help="try again later, or name a mirror with HF_ENDPOINT",
    )


def _no_room(error: OSError) -> DiagnosticError:
    return DiagnosticError.of(
        "PG316",
        f"what comes from the hub cannot be kept: {error.strerror}",
        notes=[f"{error.filename}"] if error.filename else (),
        help=f"free space, or choose another folder: {setting('--cache', 'DIR')}, or HF_HOME",
    )


def _unreachable(request: Request, error: BaseException) -> DiagnosticError:
    """No network, or one that was cut off in the middle of a file."""
    download = isinstance(error, OSError) and "Consistency check" in str(error)
    if download or type(error).__name__ in {"RemoteProtocolError", "ReadError", "ReadTimeout"}:
        return DiagnosticError.of(
            "PG316",
            f"the download of {quote(request.repository)} was interrupted",
            notes=[_first_line(error)],
            help="run it again: it goes on where it ended",
        )
    return DiagnosticError.of(
        "PG316",
        f"{request.hub} cannot be reached",
        notes=[_first_line(error)],
        help="a network, or a mirror that HF_ENDPOINT names; on another machine, "
        + shell("hf", "download", request.repository, "--local-dir", "DIR")
        + f" gets a folder to bring here: {command('import', 'DIR')}",
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}{f': {lines[0]}' if lines else ''}"
