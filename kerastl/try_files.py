"""What `kerastl try` serves: which model file, which page, and what the page may do."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from kerastl.errors import InputError
from kerastl.formats import FORMATS
from kerastl.predictors import LiteRTPredictor
from kerastl.runs import MODEL

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
