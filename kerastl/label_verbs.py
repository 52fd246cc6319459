"""What the verbs on unknown labels do, once Keras is loaded."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from kerastl.arguments import none, policy
from kerastl.console import say, title
from kerastl.joint_report import joint_or_separate as compare_joint
from kerastl.label_counts import label_report
from kerastl.manifest import Manifest
from kerastl.models import create_model
from kerastl.network_verbs import named_backbone
from kerastl.policies import compare_policies
from kerastl.progress import steps_shown
from kerastl.runs import open_data


def labels(data: str, *, reading: Mapping[str, Any], seed: int) -> None:
    """Print what is known of each label, and which cannot be learnt or scored."""
    say_labels(open_data(data, seed=seed, **reading))


def say_labels(manifest: Manifest) -> None:
    """Print the pictures of a manifest, and how many labels are known."""
    say(manifest.summary())
    title("Labels: positive/known")
    say(label_report(manifest))


def joint_or_separate(
    data: str,
    *,
    reading: Mapping[str, Any],
    backbone: str,
    weights: str,
    trainable: str,
    seed: int,
    **options: Any,
) -> None:
    """Train both ways, print the comparison."""
    manifest = open_data(data, seed=seed, **reading)
    with steps_shown() as progress:
        report = compare_joint(
            named_backbone(backbone), manifest, weights=none(weights),
            trainable=policy(trainable), seed=seed, progress=progress, verbose=0, **options,
        )  # fmt: skip
    say(report)


def policies(
    data: str,
    *,
    reading: Mapping[str, Any],
    backbone: str,
    weights: str,
    image_size: int | None,
    seed: int,
    **options: Any,
) -> None:
    """Print which meaning of a ? trains the best heads, label by label."""
    manifest = open_data(data, seed=seed, **reading)
    net = create_model(
        named_backbone(backbone), manifest.tasks, weights=none(weights), image_size=image_size,
        seed=seed,
    )  # fmt: skip
    with steps_shown() as progress:
        report = compare_policies(net, manifest, seed=seed, progress=progress, **options)
    say(report)
    chosen = {c: v for c, v in report.uncertain().items() if v != "ignore"}
    if chosen:
        words = " ".join(f"--uncertain {shlex.quote(f'{c}={v}')}" for c, v in chosen.items())
        say(f"\nNext:  kerastl train {shlex.quote(data)} {words}")
    if report.self_trained:
        say(f"\n{', '.join(report.self_trained)}: kerastl.self_train, in Python, gives the labels.")
