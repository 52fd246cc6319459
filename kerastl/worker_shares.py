"""What of a Ray cluster's cores and GPUs each worker gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kerastl.errors import InputError


def shares(
    nodes: Sequence[Mapping[str, Any]], workers: int | None = None
) -> tuple[int, dict[str, float]]:
    """How many workers a cluster gets, and what each asks Ray for.

    TensorFlow uses all cores of its node, however many Ray counts for it. More than
    half the cores of the smallest node are asked for: no two workers share such a
    node, and somebody's small task on it does not keep the worker waiting. More workers
    than nodes divide the cores among them.

    Args:
        nodes: As `ray.nodes()` gives them.
        workers: So many in all; None: one on each node, or for each GPU.

    Raises:
        InputError: For a cluster without cores.

    Example:
        >>> shares([{"Alive": True, "Resources": {"CPU": 8}}] * 3)
        (3, {'num_cpus': 5})
        >>> shares([{"Alive": True, "Resources": {"CPU": 8}}], 3)
        (3, {'num_cpus': 2})
    """
    cores, gpus = _cores(nodes), int(sum(has.get("GPU", 0) for has in _alive(nodes)))
    if gpus:
        count = workers or gpus
        return count, {"num_cpus": 1, "num_gpus": 1 if count <= gpus else _part(gpus, count)}
    if not cores:
        raise InputError("Expected a Ray cluster with at least one core. Received: one with none.")
    if workers is None:
        each = min(cores) // 2 + 1
        return sum(n // each for n in cores), {"num_cpus": each}
    return workers, {"num_cpus": _divided(cores, workers)}


def threads(nodes: Sequence[Mapping[str, Any]], workers: int | None = None) -> int | None:
    """TensorFlow's threads in a worker; None, all, unless workers share a machine.

    Example:
        >>> threads([{"Alive": True, "Resources": {"CPU": 8}}], 3)
        2
    """
    cores, (count, _) = _cores(nodes), shares(nodes, workers)
    return None if count <= len(cores) else max(1, sum(cores) // count)


def _alive(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, float]]:
    return [node["Resources"] for node in nodes if node["Alive"]]


def _cores(nodes: Sequence[Mapping[str, Any]]) -> list[int]:
    return [int(has["CPU"]) for has in _alive(nodes) if has.get("CPU", 0) >= 1]


def _divided(cores: Sequence[int], workers: int) -> float:
    """The most cores that each of so many workers can have."""
    if workers <= len(cores):
        return sorted(cores)[-workers] // 2 + 1
    whole = (each for each in range(max(cores), 0, -1) if sum(n // each for n in cores) >= workers)
    return next(whole, None) or _part(sum(cores), workers)


def _part(wholes: int, workers: int) -> float:
    """The part of one that each worker gets, in Ray's ten thousandths."""
    return (10_000 // -(-workers // wholes)) / 10_000
