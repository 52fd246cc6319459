"""What an uncertain label stands for in training: the policy, by column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kerastl.errors import InputError, nearest
from kerastl.tasks import UNCERTAIN, UNKNOWN, Task

WORDS = {"ignore": None, "positive": 1.0, "negative": 0.0}

Policy = str | float | Mapping[str, str | float]


def policy_values(tasks: Sequence[Task], policy: Policy) -> dict[str, float]:
    """The number in [0, 1] that an uncertain label of each column stands for.

    Args:
        tasks: The tasks the columns belong to.
        policy: "ignore", "positive", "negative" or a number in [0, 1], for every
            binary and multilabel task; or a mapping to one of these from the name
            of a task, a label or a column ("task.label"). A column goes before a
            label, a label before a task; what is not named is ignored.

    Returns:
        By column; one that is not there is ignored.

    Raises:
        InputError: With every fault: a name that is none, a value that is none, and
            a value for a multiclass task, whose uncertain labels can only be ignored.

    Example:
        >>> scene = Task("scene", ["sea", "hill"], kind="multilabel")
        >>> policy_values([scene], {"scene": "negative", "hill": 0.5})
        {'scene.sea': 0.0, 'scene.hill': 0.5}
        >>> policy_values([scene], "ignore")
        {}
    """
    if isinstance(policy, Mapping):
        faults = list(_mapping_faults(tasks, policy))
        chosen = {} if faults else _by_column(tasks, policy)
    else:
        faults = list(_value_faults("uncertain", policy))
        yes_no = [c for t in tasks if t.kind != "multiclass" for c in t.columns]
        if not yes_no and not faults and _value(policy) is not None:
            faults.append(f"uncertain={policy!r} needs a binary or multilabel task; there is none")
        chosen = {} if faults else {c: _value(policy) for c in yes_no}
    if faults:
        raise InputError("The policy for uncertain labels cannot be used.", faults)
    return {column: value for column, value in chosen.items() if value is not None}


def column_faults(tasks: Sequence[Task], values: Mapping[str, float]) -> Iterator[str]:
    """What is wrong with values by column, as a manifest holds them."""
    there = [c for t in tasks if t.kind != "multiclass" for c in t.columns]
    for column, value in values.items():
        if column not in there:
            yes_no = ", ".join(there) or "none"
            yield f"uncertain: {column!r} is no column of yes or no; those are: {yes_no}"
        elif not _is_share(value):
            yield f"uncertain: {column!r} has {value!r}, expected a number from 0 to 1"


def standing(column: str, codes: np.ndarray, values: Mapping[str, float]) -> np.ndarray:
    """Codes as training sees them: uncertain labels have their value, or are unknown."""
    return np.where(codes == UNCERTAIN, values.get(column, UNKNOWN), codes)


def _value(policy: str | float) -> float | None:
    return WORDS[policy] if isinstance(policy, str) else float(policy)


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and 0 <= value <= 1


def _value_faults(name: str, value: object) -> Iterator[str]:
    if (isinstance(value, str) and value in WORDS) or _is_share(value):
        return
    hint = nearest(value, WORDS) if isinstance(value, str) else ""
    yield f"{name}: expected {', '.join(WORDS)} or a number from 0 to 1, received {value!r}.{hint}"


def _columns_of(tasks: Sequence[Task], name: str) -> dict[int, list[str]]:
    """The columns that a name stands for, by how closely it names them."""
    pairs = [(t, c, label) for t in tasks for c, label in zip(t.columns, _labels(t), strict=True)]
    return {
        0: [c for t, c, _ in pairs if t.name == name],
        1: [c for _, c, label in pairs if label == name],
        2: [c for _, c, _ in pairs if c == name],
    }


def _labels(task: Task) -> Sequence[str | None]:
    return task.classes if task.kind == "multilabel" else [None]


def _mapping_faults(tasks: Sequence[Task], policy: Mapping) -> Iterator[str]:
    names = [n for t in tasks for n in (t.name, *t.columns, *filter(None, _labels(t)))]
    multiclass = {t.name for t in tasks if t.kind == "multiclass"}
    for name, value in policy.items():
        if name not in names:
            there = ", ".join(dict.fromkeys(names))
            yield f"{name!r} is no task or label; there are: {there}.{nearest(name, names)}"
            continue
        faults = list(_value_faults(repr(name), value))
        yield from faults
        if name in multiclass and not faults and _value(value) is not None:
            yield f"{name!r} is multiclass: its uncertain labels can only be ignored"


def _by_column(tasks: Sequence[Task], policy: Mapping) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    named = {name: _columns_of(tasks, name) for name in policy}
    for closeness in (0, 1, 2):
        for name, value in policy.items():
            found |= {c: _value(value) for c in named[name][closeness]}
    order = [c for t in tasks for c in t.columns]
    return {c: found[c] for c in order if c in found}
