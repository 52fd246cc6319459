"""A folder's report.json: each step of a run writes its own part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kerastl.files import write_json

REPORT = "report.json"


def update_report(folder: str | Path, **parts: Any) -> Path:
    """Put parts into a folder's report.json and keep the others that stand there."""
    path = Path(folder) / REPORT
    try:
        there = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        there = {}
    return write_json(path, {**(there if isinstance(there, dict) else {}), **parts})
