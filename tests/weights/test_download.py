"""Downloads from a server on this machine that cuts, stalls, lies and redirects."""

from __future__ import annotations

import hashlib
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bitbrush.errors import InputError
from bitbrush.weights import cache as cache_module
from bitbrush.weights import download as download_module
from bitbrush.weights.bits import save_network
from bitbrush.weights.cache import addresses, cached_file, pull
from bitbrush.weights.catalogue import CATALOGUE, PublishedWeights
from bitbrush.weights.download import Patience, download
from bitbrush.weights.importing import build, import_weights

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(timeout=0.3, attempts=3, pause=0.01)


class Server:
    """Serves files by path; `tricks` are played on the next requests, one each.

    A trick is "cut" (half of what is due), "stall", "corrupt", "busy" (503) or "ignore-range".
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"/file": CONTENT}
        self.redirects: dict[str, str] = {}
        self.tricks: list[str] = []
        self.requests: list[tuple[str, str | None]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *args: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.requests.append((request.path, wanted))
        trick = self.tricks.pop(0) if self.tricks else ""
        if request.path in self.redirects:
            request.send_response(302)
            request.send_header("Location", self.redirects[request.path])
            request.end_headers()
            return
        content = self.files.get(request.path)
        if content is None or trick == "busy":
            request.send_error(404 if content is None else 503)
            return
        start = int(wanted[6:-1]) if wanted and trick != "ignore-range" else 0
        if start >= len(content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
            request.end_headers()
            return
        due = content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(due)))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.end_headers()
        if trick == "corrupt":
            due = bytes([due[0] ^ 1]) + due[1:]
        if trick in ("cut", "stall"):
            due = due[: len(due) // 2]
        request.wfile.write(due)
        request.wfile.flush()
        if trick == "stall":
            time.sleep(0.8)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()
    running.thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "file"


def fetch(target: Path, *urls: str, **options: object) -> str:
    return download(urls, target, SHA256.__eq__, patience=QUICK, **options)  # type: ignore[arg-type]


def test_a_file_arrives_and_progress_is_told(server: Server, target: Path) -> None:
    told: list[tuple[int, int | None]] = []
    assert fetch(target, f"{server.url}/file", progress=lambda *now: told.append(now)) == SHA256
    assert target.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert not target.with_name("file.part").exists()
    fetch(target, f"{server.url}/file")
    assert len(server.requests) == 1, "what is there already is not fetched again"


@pytest.mark.parametrize("trick", ["cut", "stall"])
def test_a_broken_transfer_goes_on_where_it_stopped(
    server: Server, target: Path, trick: str
) -> None:
    server.tricks = [trick, trick]
    fetch(target, f"{server.url}/file")
    assert target.read_bytes() == CONTENT
    starts = [wanted for _, wanted in server.requests]
    assert starts == [None, f"bytes={len(CONTENT) // 2}-", f"bytes={len(CONTENT) * 3 // 4}-"]


def test_a_later_call_goes_on_too(server: Server, target: Path) -> None:
    server.tricks = ["cut", "busy", "busy"]
    with pytest.raises(InputError, match="503"):
        fetch(target, f"{server.url}/file")
    assert not target.exists()
    fetch(target, f"{server.url}/file")
    assert target.read_bytes() == CONTENT
    assert server.requests[-1][1] == f"bytes={len(CONTENT) // 2}-"


def test_a_server_without_ranges_starts_over(server: Server, target: Path) -> None:
    server.tricks = ["cut", "ignore-range"]
    fetch(target, f"{server.url}/file")
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"rubbish", CONTENT + b"more", CONTENT])
def test_whatever_an_earlier_call_left(server: Server, target: Path, left: bytes) -> None:
    target.parent.mkdir()
    target.with_name("file.part").write_bytes(left)
    fetch(target, f"{server.url}/file")
    assert target.read_bytes() == CONTENT


def test_a_corrupt_file_never_gets_its_name(server: Server, target: Path) -> None:
    server.tricks = ["corrupt"] * 3
    with pytest.raises(InputError, match="another SHA-256"):
        fetch(target, f"{server.url}/file")
    assert [p.name for p in target.parent.iterdir() if p.suffix != ".lock"] == []


def test_redirects_are_followed_and_loops_are_not(server: Server, target: Path) -> None:
    server.redirects = {"/here": "/there", "/there": "/file", "/loop": "/loop"}
    with pytest.raises(InputError, match="redirects"):
        fetch(target, f"{server.url}/loop")
    fetch(target, f"{server.url}/here")
    assert target.read_bytes() == CONTENT


def test_the_next_address_is_tried(server: Server, target: Path) -> None:
    server.files["/wrong"] = b"another file"
    fetch(target, f"{server.url}/none", f"{server.url}/wrong", "ftp://x/y", f"{server.url}/file")
    assert target.read_bytes() == CONTENT


def test_nobody_there_is_one_line(target: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(InputError, match="no connection") as caught:
        fetch(target, f"http://127.0.0.1:{port}/file")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1080"),
        ("SSL_CERT_FILE", "/nonexistent"),
        ("HTTPS_PROXY", "ftp://127.0.0.1:1080"),
        ("HTTPS_PROXY", "127.0.0.1:port"),
    ],
)
def test_unusable_settings_of_the_environment_are_one_line(
    target: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    # Where the package for such proxies is installed, they can be used.
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match="proxy or certificate settings") as caught:
        fetch(target, "https://127.0.0.1:9/file")
    assert "\n" not in str(caught.value)


def test_endless_files_are_cut_off(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="larger than any"):
        fetch(target, f"{server.url}/file")
    assert target.with_name("file.part").stat().st_size == 0


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        fetch(tmp_path / "file" / "target", f"{server.url}/file")


def together(count: int, work: Callable[[], object]) -> None:
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_many_at_once_do_not_disturb_each_other(server: Server, target: Path) -> None:
    server.tricks = ["cut", "cut"]
    together(6, lambda: fetch(target, f"{server.url}/file"))
    assert target.read_bytes() == CONTENT


@pytest.fixture
def small_release(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> PublishedWeights:
    """vgg19-normalised as if it had been published on the server, and an empty cache."""
    monkeypatch.setenv("BITBRUSH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BITBRUSH_MIRROR", raising=False)
    file = tmp_path / "published.safetensors"
    save_network(build("vgg19-normalised"), file, {})
    server.files["/releases/weights.safetensors"] = file.read_bytes()
    entry = PublishedWeights(
        "vgg19-normalised",
        f"{server.url}/releases/weights.safetensors",
        hashlib.sha256(file.read_bytes()).hexdigest(),
        "MIT",
        "nobody",
        "none",
    )
    monkeypatch.setitem(CATALOGUE, entry.network, entry)
    return entry


def test_pull_fills_the_cache(server: Server, small_release: PublishedWeights) -> None:
    path = pull("vgg19-normalised", patience=QUICK)
    assert path == cached_file("vgg19-normalised") and path.is_file()
    assert list((cache_module.cache_folder() / "downloads").glob("*.safetensors")) == []
    pull("vgg19-normalised", patience=QUICK)
    assert len(server.requests) == 1
    path.write_bytes(b"junk")
    assert pull("vgg19-normalised", patience=QUICK) == path
    assert len(server.requests) == 2
    import_weights(path, "vgg19-normalised")


def test_many_pulls_at_once(server: Server, small_release: PublishedWeights) -> None:
    together(4, lambda: pull("vgg19-normalised", patience=QUICK))
    assert len(server.requests) == 1


def test_a_mirror_is_asked_first(
    server: Server, small_release: PublishedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/mirror/vgg19-normalised/weights.safetensors"] = server.files.pop(
        "/releases/weights.safetensors"
    )
    server.files["/mirror/weights.safetensors"] = b"another network's file of that name"
    monkeypatch.setenv("BITBRUSH_MIRROR", f" {server.url}/none ,{server.url}/mirror/")
    pull("vgg19-normalised", patience=QUICK)
    assert [path for path, _ in server.requests] == [
        "/none/weights.safetensors",
        "/none/vgg19-normalised/weights.safetensors",
        "/mirror/weights.safetensors",
        "/mirror/vgg19-normalised/weights.safetensors",
    ]
    assert addresses(small_release)[-1] == small_release.url


def test_failure_says_what_else_can_be_done(
    server: Server, small_release: PublishedWeights
) -> None:
    server.files.clear()
    with pytest.raises(InputError, match=r"404.*BITBRUSH_MIRROR.*weights import FILE --network"):
        pull("vgg19-normalised", patience=QUICK)
    with pytest.raises(InputError, match="no public download"):
        pull("vgg19-16x")


def test_the_catalogue_is_sound() -> None:
    for name, entry in CATALOGUE.items():
        assert entry.network == name and entry.url.startswith("https://")
        assert int(entry.sha256, 16) and len(entry.sha256) == (64 if entry.whole else 8)
        assert entry.matches(entry.sha256.ljust(64, "0"))
        assert not entry.matches("0" * 64)
    assert not CATALOGUE["vgg19"].whole and CATALOGUE["quicknet"].whole
