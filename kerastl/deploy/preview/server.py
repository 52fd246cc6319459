"""The server of `kerastl try`: a page that runs an exported file, and the interpreter behind it.

It serves a fixed list of files, made when it starts; what is asked for is looked up in the
list and never joined to a path.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import logging
import math
import re
import shutil
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from kerastl.deploy.formats import FORMATS
from kerastl.deploy.preview.litert_js import fetch_litert_js
from kerastl.errors import InputError
from kerastl.inference.predictors import LiteRTPredictor, load_predictor
from kerastl.models.saving import MODEL

PAGE = Path(__file__).parent / "page"
FILE = "/model.tflite"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'{hashes}; worker-src 'self' blob:; "
    "img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
IMPORT_MAP = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


def find_file(model: str | Path) -> Path:
    """The `.tflite` file that is meant by a path.

    Args:
        model: The file, or the folder it was exported to: float32 is taken there,
            else the next that there is in the order of `FORMATS`.

    Raises:
        InputError: If there is none, with what was found instead.
    """
    path = Path(model)
    if path.is_dir():
        return _file_in(path)
    if path.suffix == ".tflite" and path.is_file():
        return path
    if path.suffix == ".keras" and path.is_file():
        raise InputError(
            f"Expected an exported .tflite file. Received: {path}, a Keras model. "
            f"Export it first: kerastl export {path}"
        )
    found = "a file of another kind" if path.exists() else "nothing"
    raise InputError(
        f"Expected a .tflite file, or the folder it was exported to. Received: {path}, "
        f"which is {found}."
    )


def _file_in(folder: Path) -> Path:
    for form in FORMATS.values():
        if form.tflite and (folder / form.file).is_file():
            return folder / form.file
    there = sorted(p.name for p in folder.iterdir())
    if others := [name for name in there if name.endswith(".tflite")]:
        return folder / others[0]
    first = f" Export it first: kerastl export {folder}" if MODEL in there else ""
    found = ", ".join(there[:10]) or "nothing"
    raise InputError(
        f"Expected a folder with a .tflite file. Received: {folder} with {found}.{first}"
    )


def about_of(file: Path, predictor: LiteRTPredictor, runtime: Path | None) -> dict[str, Any]:
    """What the page has to know (`/about.json`), in plain JSON values."""
    height, width = predictor.image_size
    made = predictor.model.ports["outputs"]
    # LiteRT.js gives and takes the codes of a quantised file: the page makes scores of them.
    browser = runtime is not None and predictor.model.input_scale == (1.0, 0)
    return {
        "title": f"{file.resolve().parent.name}/{file.name}",
        "runtime": "browser" if browser else "interpreter",
        "file": FILE,
        "input": {"height": height, "width": width, "dtype": predictor.model.input_dtype},
        "tasks": [
            {
                "name": task.name,
                "kind": task.kind,
                "classes": list(task.classes),
                "thresholds": list(predictor.thresholds.get(task.name, ())),
                "output": task.name,
                **{part: made[task.name].get(part) for part in ("scale", "zero_point")},
            }
            for task in predictor.tasks
        ],
    }


def routes_of(file: Path, runtime: Path | None) -> dict[str, Path]:
    """By route the file; the whole of what can be had."""
    page = {"/": PAGE / "index.html", **{f"/{n}": PAGE / n for n in ("try.js", "try.css")}}
    below = [] if runtime is None else sorted(p for p in runtime.rglob("*") if p.is_file())
    litert = {f"/litert/{p.relative_to(runtime).as_posix()}": p for p in below}
    return {**page, **litert, FILE: file}


def policy_for(page: Path) -> str:
    """Only what is served here may run; the page's import map is let in by its hash."""
    hashes = [hashlib.sha256(text).digest() for text in IMPORT_MAP.findall(page.read_bytes())]
    told = [f" 'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes]
    return POLICY.format(hashes="".join(told))


logger = logging.getLogger("kerastl")

HERE = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "")
LOOPBACK = (HERE, "localhost")
ABOUT, SCORES = "/about.json", "/scores"
PATIENCE = 60
"""Seconds that a client may be silent in the middle of a request."""

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Both together let LiteRT.js have threads, which share memory.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


class _Handler(BaseHTTPRequestHandler):
    """One connection of a browser."""

    server: TryServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "kerastl", ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        """Answer with `about.json` or with a file of the list."""
        route = self.path.partition("?")[0]
        if not self._is_meant():
            return
        if route == ABOUT:
            self._answer(HTTPStatus.OK, self.server.about)
        elif route in self.server.files:
            self._send_file(self.server.files[route])
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "There is nothing here."})

    def do_POST(self) -> None:
        """Answer with the scores of the picture that was sent."""
        if not self._is_meant():
            return
        if self.path != SCORES:
            self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")
            return
        expected, told = self.server.picture_bytes, self.headers.get("Content-Length")
        pixels = self.rfile.read(expected) if told == str(expected) else b""
        if len(pixels) == expected:
            self._answer(HTTPStatus.OK, self.server.scores(pixels))
            return
        height, width = self.server.predictor.image_size
        self._refuse(
            HTTPStatus.BAD_REQUEST,
            f"Expected {expected} bytes, {height} x {width} pixels of red, green and blue. "
            f"Received: a body of {'no told length' if told is None else f'{told[:20]} bytes'}.",
        )

    def _is_meant(self) -> bool:
        meant = self.server.knows(self.headers.get("Host"))
        if not meant:
            self._refuse(HTTPStatus.FORBIDDEN, f"Open this page as {self.server.url}.")
        return meant

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        """An error; the connection ends, for the body of the request was not read."""
        self.close_connection = True
        self._answer(status, {"error": why})

    def _answer(self, status: HTTPStatus, values: Mapping[str, Any]) -> None:
        body = json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
        self._begin(status, TYPES[".json"], len(body))
        self.wfile.write(body)

    def _send_file(self, path: Path) -> None:
        with path.open("rb") as file:
            size = path.stat().st_size
            self._begin(HTTPStatus.OK, TYPES.get(path.suffix, "application/octet-stream"), size)
            shutil.copyfileobj(file, self.wfile)

    def _begin(self, status: HTTPStatus, kind: str, size: int) -> None:
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Into the log, for a library does not print."""
        logger.debug(format, *args)


class TryServer(ThreadingHTTPServer):
    """The page of one model; see `open_server`."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], file: Path, browser_runtime: Path | None):
        self.predictor = load_predictor(file)
        self.about = about_of(file, self.predictor, browser_runtime)
        self.files = routes_of(file, browser_runtime)
        self.headers = {**HEADERS, "Content-Security-Policy": policy_for(self.files["/"])}
        self._one_at_a_time = threading.Lock()
        super().__init__(address, _Handler, bind_and_activate=False)
        self.host = address[0]

    @property
    def port(self) -> int:
        """The port, once it is bound."""
        return self.server_address[1]

    @property
    def url(self) -> str:
        """Where this machine finds the page."""
        return f"http://{HERE if self.host in EVERYWHERE else self.host}:{self.port}/"

    @property
    def picture_bytes(self) -> int:
        """Bytes of one picture, `height * width * 3`."""
        return math.prod(self.predictor.image_size) * 3

    def knows(self, host: str | None) -> bool:
        """Whether a request means this server.

        Another name for 127.0.0.1 is how a page from elsewhere would read from here.
        A server that was opened to the network has names that it cannot know.
        """
        names = {f"{name}:{self.port}" for name in LOOPBACK}
        return self.host not in LOOPBACK or host in names | set(LOOPBACK if self.port == 80 else ())

    def scores(self, pixels: bytes) -> dict[str, Any]:
        """What the interpreter says of one picture, `height * width * 3` bytes of RGB."""
        images = np.frombuffer(pixels, "uint8").reshape(1, *self.predictor.image_size, 3)
        with self._one_at_a_time:
            start = time.perf_counter()
            outputs = self.predictor.predict(images)
            took = time.perf_counter() - start
        scores = {name: _plain(values[0]) for name, values in outputs.items()}
        return {"scores": scores, "milliseconds": round(took * 1000, 3)}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; anything else goes into the log."""
        gone = isinstance(sys.exc_info()[1], ConnectionError)
        level = logging.DEBUG if gone else logging.ERROR
        logger.log(level, "A request to the page failed.", exc_info=not gone)


@contextlib.contextmanager
def open_server(
    model: str | Path, *, host: str = HERE, port: int = 0, browser_runtime: Path | None = None
) -> Iterator[TryServer]:
    """Serve the page of a model in a thread, until the block ends.

    Args:
        model: A `.tflite` file with the `model.json` it was exported with, or the
            folder of both.
        host: The address to bind; the default is seen by this machine alone.
        port: 0 takes a free one.
        browser_runtime: The folder of LiteRT.js (`fetch_litert_js`); None leaves the
            work to the interpreter behind the page.

    Yields:
        The server, with its `url`.

    Raises:
        InputError: If there is no such file, or the address cannot be had.
    """
    server = TryServer((host, port), find_file(model), browser_runtime)
    try:
        server.server_bind()
        server.server_activate()
    except (OSError, OverflowError) as error:
        server.server_close()
        raise InputError(
            f"The page cannot be served at {host}:{port} ({error}). Choose another address or port."
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def serve(
    model: str | Path, *, host: str, port: int, open_browser: bool, say: Callable[[str], None]
) -> None:
    """Serve the page of a model until Ctrl-C.

    Args:
        model: See `open_server`.
        host: See `open_server`.
        port: See `open_server`.
        open_browser: Whether to show the page in this machine's browser.
        say: Is called with each line there is to say.

    Raises:
        InputError: See `open_server`, and `fetch_litert_js`.
    """
    find_file(model)  # before npm is asked
    runtime = fetch_litert_js()
    if runtime is None:
        say("LiteRT.js could not be fetched through npm: the interpreter here runs the file.")
    with open_server(model, host=host, port=port, browser_runtime=runtime) as server:
        try:
            for line in _lines(server):
                say(line)
            if open_browser:
                webbrowser.open(server.url)
            threading.Event().wait()
        except KeyboardInterrupt:
            say("Stopped.")


def _plain(values: np.ndarray) -> list[float | None]:
    """Numbers for JSON, which has no NaN."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _lines(server: TryServer) -> Iterator[str]:
    yield f"{server.about['title']} is at {server.url} (Ctrl-C ends it)."
    if server.host not in LOOPBACK:
        yield (
            "Warning: anyone in your network can open this page and fetch the model. From "
            f"another device: http://ADDRESS:{server.port}/ with this machine's address. Phones "
            "give a page the camera only over https or from localhost; here choose pictures."
        )
