"""Facts of a `.tflite` file: its operators, the share that XNNPACK takes, the time of a picture.

Why a file of 8-bit numbers is slow or poor is said where it is known, with what helps.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binom

from kerastl.errors import InputError
from kerastl.inference.litert import LiteRTModel
from kerastl.terminal import quiet

RUNS = 30
WARM = 5
"""Runs before the first that counts: memory is laid out and caches are filled."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds that one picture takes.

    Attributes:
        threads: Threads the interpreter had.
        median: Of the runs.
        low: Lower end of the median's 95 % interval.
        high: Upper end.
        runs: How many.
    """

    threads: int
    median: float
    low: float
    high: float
    runs: int

    def __str__(self) -> str:
        return f"{self.median:.1f} ms"


def measure_latency(path: str | Path, threads: int, *, runs: int = RUNS) -> Latency:
    """Time a file with the LiteRT interpreter, one picture a run.

    The interval is the one between two runs in the order of their times between which
    the median lies with 95 % at least: nothing is assumed of how times are spread.
    It speaks of this machine as it was; a phone has other figures.

    Args:
        path: The `.tflite` file.
        threads: Threads that the interpreter may use.
        runs: Runs that count; six at least.

    Returns:
        The `Latency`, in milliseconds.

    Raises:
        InputError: For fewer runs, and for a file that cannot be run.

    Example:
        >>> import keras, tempfile
        >>> from kerastl.deploy.tflite import to_float32
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> path = Path(tempfile.mkdtemp(), "model.tflite")
        >>> n = path.write_bytes(to_float32(classifier(own, ["cat", "dog"], image_size=8)))
        >>> took = measure_latency(path, 1)
        >>> took.low <= took.median <= took.high, took.runs
        (True, 30)
    """
    if runs < 6:
        raise InputError(f"Expected at least 6 runs, for an interval. Received: runs={runs}.")
    model = LiteRTModel(path, threads)
    image = np.random.default_rng(0).integers(0, 256, (1, *model.image_size, 3), "uint8")
    took = sorted([_milliseconds(model, image) for _ in range(WARM + runs)][WARM:])
    # The number of runs below the median is binomial.
    rank = int(binom.ppf(0.025, runs, 0.5))
    return Latency(threads, float(np.median(took)), took[rank - 1], took[runs - rank], runs)


def _milliseconds(model: LiteRTModel, image: np.ndarray) -> float:
    start = time.perf_counter()
    model.predict(image)
    return (time.perf_counter() - start) * 1000


FLEX = "Flex"
DELEGATE = "DELEGATE"
NEWER = "operator number "
"""How an operator is called that has no name here yet."""


@dataclass(frozen=True)
class TFLiteFacts:
    """What a file is made of.

    Attributes:
        operators: How often each built-in operator is used, by name, in the main graph
            and in the bodies of its loops and branches.
        versions: The newest version of each that is asked for: an old runtime may
            refuse it.
        flex: Operators of TensorFlow, which no phone's runtime has.
        custom: Other operators that are not built in.
        partitions: Runs of operators that the interpreter hands to XNNPACK; every gap
            between them costs time. None where it would not tell, as of a file with
            loops or branches, whose bodies it keeps to itself.
        delegated: Share of the operators that XNNPACK takes; None likewise.
    """

    operators: dict[str, int]
    versions: dict[str, int]
    flex: tuple[str, ...]
    custom: tuple[str, ...]
    partitions: int | None
    delegated: float | None


def read_facts(path: str | Path) -> TFLiteFacts:
    """Read what a file is made of, from the file and from the interpreter.

    Args:
        path: The `.tflite` file.

    Returns:
        The `TFLiteFacts`.

    Raises:
        InputError: For a file that is damaged, and for one with operators newer than
            the interpreter.

    Example:
        >>> import keras, tempfile
        >>> from kerastl.deploy.tflite import to_float32
        >>> from kerastl.models import classifier
        >>> x = keras.Input((8, 8, 3))
        >>> own = keras.Model(x, keras.layers.Conv2D(2, 3, name="conv")(x))
        >>> path = Path(tempfile.mkdtemp(), "model.tflite")
        >>> n = path.write_bytes(to_float32(classifier(own, ["cat", "dog"], image_size=8)))
        >>> facts = read_facts(path)
        >>> facts.operators["CONV_2D"], facts.flex, facts.partitions
        (1, (), 1)
    """
    path = Path(path)
    graphs = _graphs(path)
    used = [operator for graph in graphs for operator in graph]
    _check_known(path, used)
    others = {one.name for one in used if one.version is None}
    flex = {name for name in others if name.startswith(FLEX)}
    untold = others or any(graphs[1:])
    partitions, delegated = (None, None) if untold else _delegation(path)
    return TFLiteFacts(
        dict(Counter(one.name for one in used if one.version is not None).most_common()),
        _newest(used),
        tuple(sorted(flex)),
        tuple(sorted(others - flex)),
        partitions,
        delegated,
    )


class _Operator(NamedTuple):
    """An operator's name and version; no version where it is not built in."""

    name: str
    version: int | None


def _graphs(path: Path) -> list[list[_Operator]]:
    """The operators of the main graph, then those of each body."""
    try:
        return _read(path.read_bytes())
    except OSError as error:
        raise InputError(f"Expected a TFLite model file. Received: {path}, {error}.") from error
    except Exception as error:  # flatbuffers raises nearly anything on a damaged file
        raise InputError(
            f"Expected a whole TFLite model. Received: {path}, which cannot be read "
            f"({type(error).__name__}). Export or copy the file again."
        ) from error


def _read(data: bytes) -> list[list[_Operator]]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data)
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    found = []
    for code in model.operatorCodes or ():
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        if number == schema.BuiltinOperator.CUSTOM:
            found.append(_Operator(code.customCode.decode("utf-8", "replace"), None))
        else:
            found.append(_Operator(names.get(number, f"{NEWER}{number}"), code.version))
    return [[found[o.opcodeIndex] for o in graph.operators or ()] for graph in model.subgraphs]


def _check_known(path: Path, used: Sequence[_Operator]) -> None:
    newer = sorted({one.name for one in used if one.name.startswith(NEWER)})
    if newer:
        raise InputError(
            f"Expected a TFLite model of operators that ai-edge-litert {version('ai-edge-litert')} "
            f"knows. Received: {path}, with {', '.join(newer)}, of a newer one. "
            "Run: pip install --upgrade ai-edge-litert."
        )


def _newest(used: Sequence[_Operator]) -> dict[str, int]:
    """The newest version of each built-in operator."""
    found: dict[str, int] = {}
    for name, number in used:
        if number is not None:
            found[name] = max(found.get(name, 0), number)
    return found


def _delegation(path: Path) -> tuple[int | None, float | None]:
    """Partitions and the share taken: operators left to run, with the delegate and without."""
    model = LiteRTModel(path)
    details: Any = getattr(model._interpreter, "_get_ops_details", None)
    if details is None:
        return None, None
    with quiet():
        nodes = details()
    parts = [node for node in nodes if node["op_name"] == DELEGATE]
    own = nodes[: len(nodes) - len(parts)]
    return len(parts), (len(_taken(own, parts)) / len(own) if own else None)


def _taken(own: list[dict[str, Any]], parts: list[dict[str, Any]]) -> set[int]:
    """The operators inside the parts: those between a part's inputs and its outputs."""
    maker = {int(tensor): node for node in own for tensor in node["outputs"]}
    taken: set[int] = set()
    for part in parts:
        ends, ahead = set(map(int, part["inputs"])), list(map(int, part["outputs"]))
        while ahead:
            node = maker.get(ahead.pop())
            if node is not None and node["index"] not in taken:
                taken.add(node["index"])
                ahead += [int(t) for t in node["inputs"] if int(t) not in ends]
    return taken


FEW = 100
"""Calibration pictures below which the ranges are chance."""

DARK, BRIGHT = 64, 192
"""Grey levels between which some of the calibration pictures' mean should lie."""

FASTER = {
    "dynamic": "every layer's input is rounded as it comes; int8 is as small and rounds once, "
    "float16 is as fast as float32",
    "weights_int8": "the weights are unpacked as they are used; int8 is as small and computes in "
    "integers, float16 is as fast as float32",
    "int8": "float16 is as fast as float32",
}
"""By format, what to use where it is slow."""


def advice(
    form: str, facts: TFLiteFacts | None, float32: TFLiteFacts | None, images: np.ndarray | None
) -> tuple[str, ...]:
    """What is known of a file's weak points, with the remedy for each.

    Args:
        form: The name of its format.
        facts: What it is made of.
        float32: What the float32 file of the same model is made of, if there is one.
        images: The calibration pictures, uint8 `[n, height, width, 3]`, if any.

    Example:
        >>> advice("int8", None, None, np.full((200, 1, 1, 3), 9, "uint8"))
        ('the calibration pictures are all dark ...; give pictures like those the model will see',)
    """
    found: list[str] = []
    if form == "int8" and images is not None:
        found += _calibration(images)
    if form == "int8" and facts is not None:
        found += _splits(facts)
    if form == "dynamic" and facts is not None and float32 is not None:
        found += _versions(facts, float32)
    return tuple(found)


def slowness(form: str, times: Sequence[Latency], float32: Sequence[Latency]) -> tuple[str, ...]:
    """Whether a file of 8-bit numbers is slower here than float32, and what is faster.

    Args:
        form: The name of its format.
        times: How long it takes, by threads.
        float32: How long the float32 file takes, by the same threads.

    Example:
        >>> slow, fast = Latency(1, 12.7, 12.5, 12.9, 30), Latency(1, 10.5, 10.4, 10.7, 30)
        >>> slowness("dynamic", [slow], [fast])
        ("it takes 12.7 ms with 1 thread, and float32 10.5 ms: ...",)
        >>> slowness("dynamic", [fast], [slow])
        ()
    """
    if form not in FASTER:
        return ()
    return tuple(
        f"it takes {one} with {one.threads} thread{'s'[: one.threads - 1]}, and float32 {plain}: "
        f"{FASTER[form]}"
        for one, plain in zip(times, float32, strict=False)
        if one.low > plain.high
    )


def _calibration(images: np.ndarray) -> Iterator[str]:
    if len(images) < FEW:
        yield (
            f"the ranges of its numbers come from {len(images)} pictures only; give {FEW} or more "
            "with calibration="
        )
    means = images.mean(axis=(1, 2, 3))
    word = "dark" if (means < DARK).all() else "bright" if (means > BRIGHT).all() else ""
    if len(images) and word:
        yield (
            f"the calibration pictures are all {word} (mean grey level {means.min():.0f} to "
            f"{means.max():.0f}); give pictures like those the model will see"
        )


def _splits(facts: TFLiteFacts) -> Iterator[str]:
    count = facts.operators.get("HARD_SWISH", 0)
    if count and (facts.partitions or 0) > 1:
        yield (
            f"{count} hard-swish operators split it into {facts.partitions} parts, which makes "
            "integers slow: use float16, or a backbone without them, such as MobileNetV2, "
            "EfficientNetLite0 or MobileNetV3 with minimalistic=True"
        )


def _versions(facts: TFLiteFacts, float32: TFLiteFacts) -> Iterator[str]:
    newer = [
        f"{name} {version}"
        for name, version in facts.versions.items()
        if version > float32.versions.get(name, version)
    ]
    if newer:
        yield (
            f"it asks for newer versions of operators than float32 does ({', '.join(newer)}): an "
            "old runtime on a phone may refuse it; float16 does not"
        )
