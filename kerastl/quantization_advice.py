"""Why a file of 8-bit numbers is slow or poor, where it is known, and what helps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kerastl.latency import Latency
from kerastl.tflite_file import TFLiteFacts

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
