"""What the library says, in the words of the verb that was typed.

Its messages name options as Python has them: `budget=`, `trainable=False`. A verb has them under
names of its own, or has not got them; then no message sends anybody there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ALIASES = {
    "tasks": "task",
    "metric": "thresholds",
    "loss_weights": "task_weight",
    "keep_bytes": "keep",
    "calibration": "data",
    "folder": "out",
}
"""Of Python, and of a verb, where they have two names."""

PYTHON = {
    "answers", "augment", "batched", "batch_size", "budget", "cache", "calibration", "doubtful",
    "dropout", "dtype", "engine", "epochs", "equal", "everything", "executions", "folder",
    "formats", "head_epochs", "image", "image_size", "keep", "keep_bytes", "loss_weights", "metric",
    "minimalistic", "model", "older_than_days", "overwrite", "preprocessing", "ray", "repeats",
    "runs", "seed", "seeds", "sep", "shuffle", "split", "tags", "tasks", "trainable", "trials",
    "tuner", "uncertain", "unknown", "unsure", "views", "waive", "weights", "workers",
}  # fmt: skip
"""Names that the library's messages give with a `=`."""

PLACES = ("--out", "--cache")
ROOM = (*PLACES, "--budget")
"""Options that say where files go, and how large they may be."""

_NAMED = re.compile(
    r"(?<![-\w])(?P<name>[a-z_]+)=(?P<value>'[^']*'|\[[^\]]*\]|\([^)]*\)|[\w.-]*\w)?"
)
_ASIDE = re.compile(r" \([^()]*\)")
_TWICE = re.compile(r"(?P<said>--[\w-]+(?: [\w.,-]+)?)(?: \(`?(?P=said)`?\)|, (?P=said)\b)")
_PYTHON_ONLY = "a Task in tasks="
_ADVICE = re.compile(r"(Try|Give|Use|Leave|Build|Or|Choose)\b")


def words_of(command: Any) -> dict[str, str]:
    """What each Python name is called where this verb was typed.

    Args:
        command: The verb as Typer has it; of a group of verbs, all that one of them has.

    Example:
        >>> words_of(None)
        {}
    """
    verbs = getattr(command, "commands", {"": command} if command else {}).values()
    found = {p.name: _shown(p) for verb in verbs for p in verb.params if p.name}
    return found | {ours: found[theirs] for ours, theirs in ALIASES.items() if theirs in found}


def _shown(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return parameter.metavar or parameter.name.upper()
    return max(parameter.opts, key=len)


def translated(text: str, words: Mapping[str, str]) -> str:
    """A message in the verb's words; advice that names what the verb has not got is left out.

    Args:
        text: The library's.
        words: What each Python name is called, from `words_of`.

    Example:
        >>> words = {"budget": "--budget", "engine": "--engine", "formats": "--formats"}
        >>> translated("Expected budget= in bytes. Use engine='keras', or engine='auto'.", words)
        'Expected --budget in bytes. Use --engine keras, or --engine auto.'
        >>> translated("The table has one column. Try sep=';'.", words)
        'The table has one column.'
        >>> translated("Begin anew with formats=('float32', 'int8') (--formats).", words)
        'Begin anew with --formats float32,int8 (--formats).'
    """
    asided = _ASIDE.sub(lambda aside: "" if _strange(aside[0], words) else aside[0], text)
    first, *rest = re.split(r"(?<=[.?!]) (?=[A-Z])", asided)
    kept = [s for s in rest if not (_ADVICE.match(s) and _strange(s, words))]
    said = _NAMED.sub(lambda found: _said(found, words), " ".join([first, *kept]))
    return _TWICE.sub(lambda found: found["said"], said)


def _strange(text: str, words: Mapping[str, str]) -> bool:
    """Whether a text names what the verb has not got."""
    return _PYTHON_ONLY in text or any(
        m["name"] in PYTHON and m["name"] not in words for m in _NAMED.finditer(text)
    )


def _said(found: re.Match[str], words: Mapping[str, str]) -> str:
    name, value = found["name"], found["value"]
    if name not in PYTHON or name not in words:
        return found[0]
    if not value or value == "True" or value.startswith("["):
        return words[name]
    plain = value.strip("()").replace("'", "").replace(" ", "").rstrip(",")
    plain = {"None": "none", "False": "heads" if name == "trainable" else "none"}.get(plain, plain)
    return f"{words[name]} {plain}"


def elsewhere(words: Mapping[str, str], full: bool) -> str:
    """Which of a verb's options say where files go, as a sentence; nothing where it has none.

    Args:
        words: What each Python name is called, from `words_of`.
        full: Whether it is for want of room.

    Example:
        >>> elsewhere({"out": "--out", "cache": "--cache"}, full=True)
        ' Options: --out, --cache. `kerastl cache prune FOLDER` makes room in a cache.'
        >>> elsewhere({"folder": "--out"}, full=False), elsewhere({}, full=True)
        (' Options: --out.', '')
    """
    there = [name for name in (ROOM if full else PLACES) if name in words.values()]
    told = f" Options: {', '.join(there)}." if there else ""
    prune = " `kerastl cache prune FOLDER` makes room in a cache."
    return told + (prune if full and "cache" in words else "")


def how_to_go_on(words: Mapping[str, Any]) -> str:
    """What is said of an interruption of a verb.

    Example:
        >>> how_to_go_on({"resume": "--resume"}), how_to_go_on({})
        ('Interrupted. The same command with --resume goes on.', 'Interrupted.')
    """
    if "resume" in words:
        return f"Interrupted. The same command with {words['resume']} goes on."
    if "cache" in words:
        kept = f"What lies in {words['cache']} is kept, and the same command goes on from there."
        return f"Interrupted. {kept}"
    return "Interrupted."
