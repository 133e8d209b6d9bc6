"""Data from npm and Debian: files of one version, held against their digests."""

from __future__ import annotations

import hashlib
import io
import lzma
import shutil
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

NPM = "https://registry.npmjs.org"
DEBIAN = "https://deb.debian.org/debian"


def fetch(url: str, sha256: str, folder: Path) -> Path:
    """The file of an address, kept in a folder.

    Raises ValueError if it is not the one that the digest is of, and URLError without a network.
    """
    path = folder / url.rsplit("/", 1)[1]
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"fetching {url}", flush=True)
        part = path.with_name(path.name + ".part")
        with urllib.request.urlopen(url, timeout=60) as response, part.open("wb") as file:
            shutil.copyfileobj(response, file)
        part.rename(path)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        path.unlink()
        raise ValueError(f"{url} is not the file that was expected: its sha256 is {found}")
    return path


def npm(package: str, version: str, sha256: str, folder: Path) -> Path:
    """The archive of a package of npm."""
    file = f"{package.rsplit('/', 1)[-1]}-{version}.tgz"
    return fetch(f"{NPM}/{package}/-/{file}", sha256, folder)


def deb(path: str, sha256: str, folder: Path) -> Path:
    """A package of Debian, by its path in the archive (`pool/main/...`)."""
    return fetch(f"{DEBIAN}/{path}", sha256, folder)


def deb_files(package: Path) -> Iterator[tuple[str, bytes]]:
    """The files that a package of Debian installs, by path.

    A package is an `ar` archive of three members, the last one a tar archive (deb(5)).
    """
    with package.open("rb") as file:
        assert file.read(8) == b"!<arch>\n", f"{package} is no package of Debian"
        while header := file.read(60):
            member, size = header[:16].decode().strip(), int(header[48:58])
            content = file.read(size + size % 2)[:size]
            if member.startswith("data.tar"):
                stream = io.BytesIO(lzma.decompress(content) if ".xz" in member else content)
                with tarfile.open(fileobj=stream) as archive:
                    for entry in archive:
                        if entry.isfile() and (opened := archive.extractfile(entry)):
                            yield entry.name.removeprefix("./"), opened.read()


def npm_files(package: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a package of npm, by path in its folder `package/`."""
    with tarfile.open(package) as archive:
        for member in archive:
            if (content := archive.extractfile(member)) is not None:
                yield member.name.removeprefix("package/"), content.read()
