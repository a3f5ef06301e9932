"""The folder in which fetched and imported weights are kept, in our own format."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
from filelock import FileLock

from ..errors import InputError
from ..networks.registry import network_spec
from .bits import save_network
from .catalogue import PublishedWeights, published
from .download import Patience, ProgressCallback, download
from .importing import import_weights


def cache_folder() -> Path:
    """Where weights are kept: `BITBRUSH_CACHE`, else the platform's folder for such things."""
    chosen = os.environ.get("BITBRUSH_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("bitbrush")


def cached_file(name: str) -> Path:
    """The place of a network's file in the cache, whether it is there or not."""
    return cache_folder() / "networks" / f"{name}.safetensors"


def import_into_cache(path: Path | str, name: str) -> Path:
    """Imports a file to the cache, replacing what was there; returns the new file.

    Raises:
        InputError: as `import_weights`, or the cache cannot be written.
    """
    return import_to(path, name, cached_file(name))


def import_to(path: Path | str, name: str, target: Path) -> Path:
    """Imports a file and writes it as our own format to the target, which is returned.

    Raises:
        InputError: as `import_weights`, or the target cannot be written.
    """
    network, metadata = import_weights(path, name)
    save_network(network, target, metadata)
    return target


def pull(
    name: str,
    *,
    progress: ProgressCallback | None = None,
    patience: Patience | None = None,
) -> Path:
    """Fetches a network's published file, checks its hash, and imports it to the cache.

    The published file is removed afterwards: ours holds the same in a fraction of the space.

    Args:
        progress: called while it is fetched.
        patience: how long to insist.
    Returns:
        the file in the cache; nothing is fetched if it is there already, whole and fitting.
    Raises:
        InputError: the network has no published file, no address gave it, or it does not fit.
    """
    target = cached_file(network_spec(name).name)
    if _usable(target, name):
        return target
    entry = published(name)
    if entry is None:
        raise InputError(f"{name} has no public download; {_import_hint(name)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            # Whoever held the lock may have done the work.
            if not _usable(target, name):
                _fetch(entry, target, progress, patience)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def _usable(path: Path, name: str) -> bool:
    """Whether a file is there and loads, since one that is damaged is to be fetched again."""
    try:
        import_weights(path, name)
    except InputError:
        return False
    return True


def _fetch(
    entry: PublishedWeights,
    target: Path,
    progress: ProgressCallback | None,
    patience: Patience | None,
) -> None:
    # Named by network, since two published files share a name.
    fetched = cache_folder() / "downloads" / f"{entry.network}-{entry.file_name}"
    try:
        download(addresses(entry), fetched, entry.matches, progress=progress, patience=patience)
    except InputError as error:
        raise InputError(
            f"{error}; check the network connection, set BITBRUSH_MIRROR to a mirror, or "
            + _import_hint(entry.network)
        ) from error
    import_to(fetched, entry.network, target)
    fetched.unlink()


def _import_hint(name: str) -> str:
    return f"import a file of it with 'bitbrush weights import FILE --network {name}'"


def addresses(entry: PublishedWeights) -> list[str]:
    """Where to look for a published file: on each mirror of `BITBRUSH_MIRROR`, then at its source.

    On a mirror it is looked for as FILE, then as NETWORK/FILE, since two published files share a
    name.
    """
    bases = [base.strip().rstrip("/") for base in os.environ.get("BITBRUSH_MIRROR", "").split(",")]
    found = []
    for base in filter(None, bases):
        found += [f"{base}/{entry.file_name}", f"{base}/{entry.network}/{entry.file_name}"]
    return [*found, entry.url]
