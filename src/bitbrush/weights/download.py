"""Fetching one file over HTTP: resumed where it broke off, checked by hash, moved in whole."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from ..errors import InputError

if TYPE_CHECKING:
    import httpx

ProgressCallback = Callable[[int, int | None], None]
"""Called with the bytes that are there, and how many it will be if the server says so."""

MAX_BYTES = 2**30
"""No published file is as large; a server that sends more is not to fill the disk."""


@dataclass(frozen=True)
class Patience:
    """How long to insist.

    Attributes:
        timeout: seconds without a byte, or without a connection, until an attempt ends.
        attempts: tries for each address.
        pause: seconds before the second try; doubled before each further one.
    """

    timeout: float = 30.0
    attempts: int = 4
    pause: float = 0.5


class _GiveUpError(Exception):
    """This address will not give the file; the text says why."""


class _TryAgainError(Exception):
    """The attempt failed in a way that another may not."""


def download(
    urls: Sequence[str],
    target: Path,
    matches: Callable[[str], bool],
    *,
    progress: ProgressCallback | None = None,
    patience: Patience | None = None,
) -> str:
    """Fetches a file from the first address that has it.

    What has arrived is kept in `<target>.part`, from which a later call goes on. Processes that
    want the same file wait for each other.

    Args:
        urls: addresses of the same file, tried in order.
        target: where to put it; its folder is made. Not written to unless the hash is right.
        matches: whether a SHA-256 in hex is the file's.
    Returns:
        the SHA-256 of the file.
    Raises:
        InputError: no address gave the file (the text names the last reason for each), or the
            environment's settings for proxies or certificates are unusable.
    """
    patience = patience or Patience()
    part = target.with_name(target.name + ".part")
    reasons: dict[str, str] = {}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(target.name + ".lock")):
            if target.exists() and matches(digest := file_sha256(target)):
                return digest
            for url in urls:
                try:
                    digest = _from_one(url, part, matches, progress, patience)
                except _GiveUpError as reason:
                    reasons[url] = str(reason)
                    continue
                os.replace(part, target)
                return digest
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from error
    told = "; ".join(f"{url}: {reason}" for url, reason in reasons.items())
    raise InputError(f"cannot download {target.name} ({told})")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_one(
    url: str,
    part: Path,
    matches: Callable[[str], bool],
    progress: ProgressCallback | None,
    patience: Patience,
) -> str:
    """Fills the .part file from one address and checks it; returns its SHA-256."""
    # Whoever paints needs none of it, which is 6 MB.
    import httpx

    try:
        opened = httpx.Client(follow_redirects=True, timeout=patience.timeout)
    # A proxy that is no address or needs another package, or certificates that are not there.
    except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
        raise InputError(
            "the proxy or certificate settings of this environment cannot be used: "
            + " ".join(str(error).split())
        ) from error
    reason = ""
    with opened as client:
        for attempt in range(patience.attempts):
            if attempt:
                time.sleep(patience.pause * 2 ** (attempt - 1))
            resumed = part.exists() and part.stat().st_size > 0
            try:
                _attempt(client, url, part, progress)
            except _TryAgainError as error:
                reason = str(error)
                continue
            digest = file_sha256(part)
            if matches(digest):
                return digest
            # What an earlier call or another address left may be to blame: once more, from nothing.
            part.unlink()
            reason = f"the file has another SHA-256 ({digest[:12]}…) than was published"
            if not resumed:
                break
    raise _GiveUpError(reason)


def _attempt(client: httpx.Client, url: str, part: Path, progress: ProgressCallback | None) -> None:
    """One request, for what the .part file lacks."""
    import httpx

    have = part.stat().st_size if part.exists() else 0
    # Encoded bodies could not be resumed by the file's own byte count.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with client.stream("GET", url, headers=headers) as response:
            if response.status_code == 416:
                # Nothing is left to send: the part is whole, or longer than the file.
                if response.headers.get("Content-Range", "") != f"bytes */{have}":
                    part.unlink()
                    raise _TryAgainError("the part that was there is longer than the file")
                return
            have = _start(response, have)
            length = response.headers.get("Content-Length", "")
            total = have + int(length) if length.isdigit() else None
            _receive(response.iter_raw(), part, have, total, progress)
    except httpx.TimeoutException as error:
        raise _TryAgainError("no answer in time") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects) as error:
        raise _GiveUpError(f"not an address to download from: {error}") from error
    except httpx.ConnectError as error:
        raise _TryAgainError(f"no connection: {error}") from error
    except httpx.HTTPError as error:
        raise _TryAgainError(f"the connection broke: {error}") from error


def _start(response: httpx.Response, have: int) -> int:
    """Which byte of the file the answer begins with: `have`, or 0 if the server starts over."""
    status = response.status_code
    if status == 206:
        found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != have:
            raise _GiveUpError("the server sent another part than was asked for")
        return have
    if status == 200:
        return 0
    text = f"the server says {status} {response.reason_phrase}".rstrip()
    raise _TryAgainError(text) if status >= 500 or status in (408, 429) else _GiveUpError(text)


def _receive(
    chunks: Iterable[bytes],
    part: Path,
    have: int,
    total: int | None,
    progress: ProgressCallback | None,
) -> None:
    with part.open("r+b" if have else "wb") as file:
        file.seek(have)
        for chunk in chunks:
            have += len(chunk)
            if have > MAX_BYTES:
                file.truncate(0)
                raise _GiveUpError("the file is larger than any that was published")
            file.write(chunk)
            if progress is not None:
                progress(have, total)
