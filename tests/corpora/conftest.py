"""A loopback server whose answers a test chooses, and entries made of small files."""

from __future__ import annotations

import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench.corpora import fetch as fetch_module
from bench.corpora.entry import CorpusEntry


class Server:
    """Answers at ``url``: per path, a list of (status, body, bytes promised), the last one for ever."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, bytes, int]]] = {}
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                queue = server.answers.get(self.path, [(404, b"", 0)])
                status, body, promised = queue.pop(0) if len(queue) > 1 else queue[0]
                self.send_response(status)
                self.send_header("Content-Length", str(promised))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._httpd.server_port}"
        threading.Thread(target=self._httpd.serve_forever, args=(0.01,), daemon=True).start()

    def serve(self, path: str, *answers: tuple[int, bytes] | tuple[int, bytes, int]) -> str:
        self.answers[path] = [(a[0], a[1], a[2] if len(a) == 3 else len(a[1])) for a in answers]
        return self.url + path

    def stop(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetch_module, "BACK_OFF", 0.0)
    running = Server()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller's environment says of mirrors, caches and proxies does not reach a test."""
    for name in ("BENCH_CACHE", "BENCH_MIRROR", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def make_zip() -> Callable[..., Path]:
    """``make(path, {name: bytes}) -> path``."""

    def make(path: Path, files: dict[str, bytes]) -> Path:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path

    return make


@pytest.fixture
def make_tar() -> Callable[..., Path]:
    """``make(path, {name: bytes}, link=(name, target, type)) -> path``; xz if the name says so, else gz."""

    def make(path: Path, files: dict[str, bytes], link: tuple[str, str, bytes] | None = None) -> Path:
        with tarfile.open(path, "w:xz" if path.suffix == ".xz" else "w:gz") as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            if link is not None:
                info = tarfile.TarInfo(link[0])
                info.linkname, info.type = link[1], link[2]
                archive.addfile(info)
        return path

    return make


@pytest.fixture
def git_folder() -> tuple[dict[str, bytes], str]:
    """The files of a folder, and the id that ``git write-tree`` gives it."""
    files = {"2000.txt": b"B|Bye, now!|fc\nA|Bye.|fc\n", "2001.txt": b"A|Hi there.|fp\n"}
    return files, "5ce076110a16d3aef4dbf44a4725e3eee74e9003"


MakeEntry = Callable[..., tuple[CorpusEntry, dict[str, Path]]]


@pytest.fixture
def make_entry(tmp_path: Path) -> MakeEntry:
    """``make(reader, {"train.txt": bytes, ...}, **more) -> (entry, paths)``: a corpus ``c`` on disk."""

    def make(
        reader: dict[str, Any], files: dict[str, bytes], **more: Any
    ) -> tuple[CorpusEntry, dict[str, Path]]:
        paths = {f"c/{name}": tmp_path / "source" / name for name in files}
        (tmp_path / "source").mkdir(exist_ok=True)
        for name, data in files.items():
            paths[f"c/{name}"].write_bytes(data)
        listed = [{"path": path, "bytes": paths[path].stat().st_size} for path in paths]
        values = {"name": "c", "title": "C", "files": listed, "reader": reader, **more}
        return CorpusEntry.model_validate(values), paths

    return make


@pytest.fixture
def lines_entry(make_entry: MakeEntry) -> Callable[..., tuple[CorpusEntry, dict[str, Path]]]:
    """``make(train, valid, test, **more)``: texts as one string each, read by the reader of lines."""

    def make(train: str, valid: str, test: str, **more: Any) -> tuple[CorpusEntry, dict[str, Path]]:
        texts = {"train.txt": train, "valid.txt": valid, "test.txt": test}
        reader = {"kind": "lines", "train": "c/train.txt", "valid": "c/valid.txt", "test": "c/test.txt"}
        return make_entry(reader, {name: text.encode() for name, text in texts.items()}, **more)

    return make
