"""Which stage of a pipeline costs how much: each one's output replaced by the truth, in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kerastl.errors import InputError
from kerastl.pipelines.attribution_report import Attribution, StageCost
from kerastl.pipelines.pipeline import Pipeline, as_batch
from kerastl.pipelines.types import may_fit
from kerastl.scoring.differences import paired_difference

Score = Callable[[list[Any]], Any]


def attribute(
    pipeline: Pipeline,
    data: Any,
    truths: Mapping[str, Any],
    score: Score,
    *,
    leave_out: bool = True,
) -> Attribution:
    """How much of the score each stage of a pipeline costs.

    A stage's oracle gives the true output of the stage for each example. In a chain it
    makes all stages before it irrelevant, so one oracle at stage k is the same run as
    oracles in the first k stages:

        gain(k) = score(oracle at k) - score(as it is)    what the first k cost together
        cost(k) = score(oracle at k) - score(oracle at k - 1)    what stage k alone costs

    Both are with the stages behind it as they are. The costs add up to the gain of the last
    oracle; judged by its gain, the last stage would be blamed for the faults of all. The
    cost of a stage without truths is in that of the next one that has some, and the report
    says so; after the last truths it is unknown.

    A cost below 0 says that the later stages do better on what the stage gives than on
    the truth, as where they were trained on its faults.

    A stage hurts where the pipeline without it scores higher, outside the noise. That is
    tried where the declared types let what comes in pass for what the stage gives.

    Each interval holds for itself: of twenty stages that cost nothing one may be outside
    the noise by chance.

    Args:
        pipeline: The pipeline.
        data: A batch, as the pipeline takes it: the held-out examples.
        truths: By stage, the true output for each example, in the stage's own form;
            None where it is unknown. An example with an unknown truth of any stage is
            left out everywhere, and counted.
        score: Called with the pipeline's outputs, one value for each example (None
            where a stage had none), it gives one number for each, higher is better:
            `lambda outputs: [a == b for a, b in zip(outputs, labels)]`.
        leave_out: Whether to try the pipeline without each stage too.

    Returns:
        The `Attribution`.

    Raises:
        InputError: For truths or scores that do not fit the pipeline and the data.

    Example:
        >>> from kerastl.pipelines.types import ArrayType
        >>> from kerastl.pipelines.stages import Stage
        >>> number = ArrayType((), "int64")
        >>> halve = Stage("halve", lambda x: x // 2, number, number)
        >>> tens = Stage("tens", lambda x: x * 10 + (x % 5 == 0), number, number)  # planted
        >>> data = np.arange(0, 400, 2)
        >>> found = attribute(
        ...     Pipeline([halve, tens]), data, {"halve": data // 2, "tens": data * 5},
        ...     lambda outputs: np.array(outputs) == data * 5, leave_out=False,
        ... )
        >>> print(found)
        The stage 'tens' costs 0.200 [0.144, 0.262] of the score, which is 0.800 (n = 200). What
        the other stages cost is inside the noise.
    """
    _check_kinds(pipeline, truths)
    values = as_batch(data)
    truths = {name: as_batch(part) for name, part in truths.items()}
    _check(pipeline, values, truths)
    plain = pipeline.trace(values)
    scores = {"": _scores(score, plain[pipeline.names[-1]], "as it is")}
    for name in (n for n in pipeline.names if n in truths):
        given = pipeline.trace(values, {name: truths[name]})
        scores[name] = _scores(score, given[pipeline.names[-1]], f"with the truths of {name!r}")
    without = _without(pipeline, values, score) if leave_out else {}
    rows = _known(truths, len(values))
    scores = {name: each[rows] for name, each in scores.items()}
    without = {name: each[rows] for name, each in without.items()}
    span = _span([*scores.values(), *without.values()])
    skipped = {name: len(found) for name, found in plain.skipped.items()}
    costs = _costs(pipeline.names, scores, without, skipped, span)
    return Attribution(costs, float(scores[""].mean()), len(rows), len(values) - len(rows))


def _check_kinds(pipeline: Any, truths: Any) -> None:
    if not isinstance(pipeline, Pipeline) or not isinstance(truths, Mapping):
        raise InputError(
            "Expected a Pipeline, and truths as a dict by stage. "
            f"Received: {type(pipeline).__name__} and {type(truths).__name__}."
        )


def _check(pipeline: Pipeline, values: Sequence[Any], truths: Mapping[str, list[Any]]) -> None:
    if not truths or not values:
        raise InputError(
            f"Expected examples, and the truths of at least one stage of "
            f"{', '.join(pipeline.names)}. Received: {len(values)} examples, truths of "
            f"{', '.join(truths) or 'none'}."
        )
    pipeline.check_given(truths, len(values))
    if not len(_known(truths, len(values))):
        raise InputError(
            "Expected at least one example with a known truth of every stage that has truths.",
            [f"{n}: {sum(v is not None for v in part)} known" for n, part in truths.items()],
        )


def _known(truths: Mapping[str, list[Any]], count: int) -> np.ndarray:
    """The numbers of the examples whose truths are all known."""
    there = [all(part[i] is not None for part in truths.values()) for i in range(count)]
    return np.flatnonzero(there)


def _scores(score: Score, outputs: list[Any], when: str) -> np.ndarray:
    found = np.asarray(score(outputs))
    if found.shape != (len(outputs),) or found.dtype.kind not in "buif":
        raise InputError(
            f"Expected score(outputs) to give one number for each of {len(outputs)} examples. "
            f"Received, {when}: {found.dtype} {list(found.shape)}."
        )
    found = found.astype("float64")
    if not np.isfinite(found).all():
        odd = int(np.flatnonzero(~np.isfinite(found))[0])
        raise InputError(
            f"Expected finite scores. Received, {when}: {found[odd]} (example {odd}). Score an "
            "example without an output, which is None, with the lowest score."
        )
    return found


def _without(pipeline: Pipeline, values: list[Any], score: Score) -> dict[str, np.ndarray]:
    """The scores of the pipeline without each stage, where it can run so."""
    found = {}
    for at, name in enumerate(pipeline.names):
        rest = pipeline.stages[:at] + pipeline.stages[at + 1 :]
        if not rest or not _passes(pipeline, at):
            continue
        try:
            outputs = Pipeline(rest)(values)
        except InputError:  # types that were open turn out not to fit: it cannot be left out
            continue
        found[name] = _scores(score, outputs, f"without {name!r}")
    return found


def _passes(pipeline: Pipeline, at: int) -> bool:
    """Whether what comes in may pass for what the stage gives, as far as both are declared."""
    stage, after = pipeline.stages[at], pipeline.stages[at + 1 : at + 2]
    before = pipeline.stages[at - 1].gives if at else None
    comes = stage.takes if before is None else before
    goes = after[0].takes if after and after[0].takes is not None else stage.gives
    return comes is not None and goes is not None and may_fit(comes, goes)


def _span(scores: Sequence[np.ndarray]) -> float:
    """From the lowest score seen to the highest; 1 where all are the same."""
    seen = np.concatenate(scores)
    return float(np.ptp(seen)) or 1.0


def _costs(
    names: Sequence[str],
    scores: Mapping[str, np.ndarray],
    without: Mapping[str, np.ndarray],
    skipped: Mapping[str, int],
    span: float,
) -> tuple[StageCost, ...]:
    found, last, together = [], "", []
    for name in names:
        cost = gain = None
        if name in scores:
            cost = paired_difference(scores[name], scores[last], span)
            gain = paired_difference(scores[name], scores[""], span)
        left = paired_difference(without[name], scores[""], span) if name in without else None
        shared = tuple(together) if cost else ()
        found.append(StageCost(name, cost, gain, shared, left, skipped.get(name, 0)))
        last, together = (name, []) if cost else (last, [*together, name])
    return tuple(found)
