"""The factories: one flat, compiled `keras.Model` for every kind of task, and its heads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastl.data.tasks import UNKNOWN, Task, as_tasks
from kerastl.errors import InputError, nearest
from kerastl.losses import MaskedBinaryCrossentropy, is_weight
from kerastl.metrics import Masked
from kerastl.models.backbones import make_backbone
from kerastl.models.graph import named_losses, nodes
from kerastl.models.spec import Spec, Trainable, with_spec
from kerastl.models.trainable import say_untrained, set_trainable

RATE = 1e-3

DEFAULT_OPTIMIZER = "kerastl_adamw"
"""Name of the optimizer that nobody chose: `kerastl.fit` has its own in its place."""


def add_heads(
    features: Any, tasks: Sequence[Task], dropout: float, seed: int, taken: Sequence[str] = ()
) -> Any:
    """Logits for each task from features `[batch, features]`.

    Args:
        features: The tensor all heads share.
        tasks: The tasks.
        dropout: Share of the features dropped in front of the heads; 0 for none.
        seed: Seed of the dropout and of the heads' first weights.
        taken: Layer names that are in use.

    Returns:
        One tensor `[batch, units]` for one task, else a dict by task name.
    """
    names = head_names(tasks, taken)
    if dropout:
        features = keras.layers.Dropout(dropout, seed=seed, name="heads_dropout")(features)
    logits = {
        task.name: keras.layers.Dense(
            task.units,
            # Logits stay in float32 under mixed precision, as Keras advises.
            dtype="float32",
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed + number),
            name=name,
        )(features)
        for number, (task, name) in enumerate(zip(tasks, names, strict=True))
    }
    return logits if len(tasks) > 1 else logits[tasks[0].name]


def head_names(tasks: Sequence[Task], taken: Sequence[str] = ()) -> list[str]:
    """A layer name for each task: the task's name as far as TensorFlow can carry it.

    Example:
        >>> head_names([Task("Größe in cm", ["s", "l"]), Task("type", ["a", "b"])])
        ['Gr_e_in_cm', 'type']
    """
    names: list[str] = []
    for number, task in enumerate(tasks):
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", task.name).lstrip("_-.") or f"head_{number}"
        while name in names or name in taken:
            name += "_head"
        names.append(name)
    return names


def losses_for(
    tasks: Sequence[Task], positive_weights: Mapping[str, Sequence[float]] | None = None
) -> Any:
    """The loss of each task, in the structure of the model's outputs.

    Args:
        tasks: The tasks.
        positive_weights: By the name of a binary or multilabel task, a weight
            for each of its labels: see `MaskedBinaryCrossentropy`.

    Raises:
        InputError: For weights that do not fit the tasks.
    """
    weights = dict(positive_weights or {})
    faults = [*_name_faults(tasks, weights), *_positive_faults(tasks, weights)]
    if faults:
        raise InputError("The positive weights do not fit the tasks.", faults)
    return _as_outputs({task.name: _loss(task, weights.get(task.name)) for task in tasks})


def task_weights(tasks: Sequence[Task], loss_weights: Mapping[str, float] | None = None) -> Any:
    """The weight of each task's loss, in the structure of the model's outputs.

    Args:
        tasks: The tasks.
        loss_weights: By task name; 1 for a task that is not there.

    Raises:
        InputError: For weights that do not fit the tasks.

    Example:
        >>> task_weights([Task("a", "xy"), Task("b", "xy")], {"b": 0.5})
        {'a': 1.0, 'b': 0.5}
    """
    weights = dict(loss_weights or {})
    faults = list(_name_faults(tasks, weights))
    for name, weight in weights.items():
        if not is_weight(weight) or np.ndim(weight):
            faults.append(f"{name}: expected a number, finite and not negative, got {weight!r}")
    if faults:
        raise InputError("The loss weights do not fit the tasks.", faults)
    return _as_outputs({task.name: float(weights.get(task.name, 1)) for task in tasks})


def metrics_for(tasks: Sequence[Task]) -> Any:
    """Accuracy, and AUC where it is usual, in the structure of the model's outputs."""
    return _as_outputs({task.name: _metrics(task) for task in tasks})


def _as_outputs(values: dict[str, Any]) -> Any:
    return values if len(values) > 1 else next(iter(values.values()))


def _name_faults(tasks: Sequence[Task], weights: Mapping[str, Any]) -> Iterator[str]:
    names = [task.name for task in tasks]
    for name in weights:
        if name not in names:
            there = ", ".join(names)
            yield f"{name}: there is no such task; the tasks are {there}.{nearest(name, names)}"


def _positive_faults(tasks: Sequence[Task], weights: Mapping[str, Any]) -> Iterator[str]:
    for task in tasks:
        if task.name not in weights:
            continue
        given, size = weights[task.name], f"{task.units} weight{'s' * (task.units > 1)}"
        if task.kind == "multiclass":
            yield f"{task.name}: a multiclass task has no positive labels; leave it out"
        elif not is_weight(given) or np.shape(given) != (task.units,):
            yield f"{task.name}: expected {size}, finite and not negative, got {given!r}"


def _loss(task: Task, weights: Sequence[float] | None) -> keras.losses.Loss:
    if task.kind == "multiclass":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=UNKNOWN)
    return MaskedBinaryCrossentropy(pos_weight=weights)


def _metrics(task: Task) -> list[keras.metrics.Metric]:
    if task.kind == "multiclass":
        return [Masked(keras.metrics.SparseCategoricalAccuracy(name="accuracy"))]
    several = {"multi_label": True, "num_labels": task.units} if task.units > 1 else {}
    return [
        Masked(keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)),
        Masked(keras.metrics.AUC(name="auc", from_logits=True, **several)),
    ]


Backbone = str | keras.Model


def classifier(backbone: Backbone, classes: Iterable[str], **options: Any) -> keras.Model:
    """A model that tells which one of the classes a picture shows.

    Args:
        backbone: A name of `list_backbones()` or a Keras model of one's own.
        classes: The class names.
        **options: Those of `create_model`; also `name`, the task's name
            (by default "label").

    Returns:
        A compiled `keras.Model`: uint8 `[batch, height, width, 3]` in, logits
        `[batch, classes]` out; labels are class codes `[batch]`, -1 unknown.

    Example:
        >>> model = classifier("MobileNet", ["cat", "dog"], weights=None, image_size=32)
        >>> model.output_shape
        (None, 2)
    """
    task = Task(options.pop("name", "label"), _words(classes))
    return create_model(backbone, task, **options)


def multilabel_classifier(backbone: Backbone, labels: Iterable[str], **options: Any) -> keras.Model:
    """A model that tells, label by label, which of several a picture has.

    Args:
        backbone: A name of `list_backbones()` or a Keras model of one's own.
        labels: The label names.
        **options: Those of `create_model`; also `name`, the task's name
            (by default "labels").

    Returns:
        A compiled `keras.Model`: uint8 `[batch, height, width, 3]` in, logits
        `[batch, labels]` out; labels are 0 to 1 `[batch, labels]`, -1 unknown.

    Example:
        >>> model = multilabel_classifier("MobileNet", ["car", "sign"], weights=None, image_size=32)
        >>> model.loss.name
        'masked_binary_crossentropy'
    """
    task = Task(options.pop("name", "labels"), _words(labels), kind="multilabel")
    return create_model(backbone, task, **options)


def multitask_classifier(backbone: Backbone, tasks: Iterable[Task], **options: Any) -> keras.Model:
    """One network with a head for each task; a task's label may be unknown.

    Args:
        backbone: A name of `list_backbones()` or a Keras model of one's own.
        tasks: The tasks, of any kinds.
        **options: Those of `create_model`.

    Returns:
        A compiled `keras.Model`: uint8 `[batch, height, width, 3]` in, a dict
        of logits `[batch, units]` by task name out; labels in a dict likewise.

    Example:
        >>> tasks = [Task("defect", ["no", "yes"], "binary"), Task("type", ["mono", "poly"])]
        >>> model = multitask_classifier("MobileNet", tasks, weights=None, image_size=32)
        >>> {name: logits.shape for name, logits in model.output.items()}
        {'defect': (None, 1), 'type': (None, 2)}
    """
    return create_model(backbone, tasks, **options)


def create_model(
    backbone: Backbone,
    tasks: Task | Iterable[Task],
    *,
    trainable: Trainable = False,
    weights: str | Path | None = "imagenet",
    image_size: int | tuple[int, int] | None = None,
    dropout: float = 0.2,
    train_batch_norm: bool = False,
    preprocessing: keras.layers.Layer | None = None,
    learning_rate: float = RATE,
    loss_weights: Mapping[str, float] | None = None,
    positive_weights: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
) -> keras.Model:
    """Backbone, pooling and heads as one flat graph, compiled.

    Images are RGB, uint8. Plain `model.fit`, `model.predict` and `model(images)` take floats
    too, rounded: an image whose values are all at most 1 is taken as one from 0 to 1, any
    other as one from 0 to 255. A file that is exported, or opened by Keras without kerastl,
    takes uint8 only: there multiply fractions by 255, or they are black.

    Args:
        backbone: A name of `list_backbones()` or a Keras model of one's own,
            which is copied.
        tasks: One task or several.
        trainable: What trains beside the heads: see `set_trainable`.
        weights: The backbone's: "imagenet", None (random) or a weights file. Random
            layers want trainable=True and train_batch_norm=True: a warning says how much
            of an untrained backbone is frozen.
        image_size: Height and width, or one number, in pixels.
        dropout: Share of the features dropped in front of the heads.
        train_batch_norm: Whether BatchNorm in the trained part trains too.
        preprocessing: For a model of one's own that does not take RGB values
            in [0, 255]: the layer that makes its input of them.
        learning_rate: Of the AdamW that plain `model.fit` uses.
        loss_weights: Weight of each task's loss by task name, fixed; by default
            1 each. The loss is then the sum over all known binary and multilabel
            labels, divided by the examples, so a head with many labels weighs
            more than a binary one; and Keras' mean over the known examples of
            each multiclass task.
        positive_weights: Weights of the positive labels by the name of a binary
            or multilabel task, such as `positive_weights(data)` gives.
        seed: Seeds Python, NumPy and Keras, and so every new weight.

    Returns:
        A compiled `keras.Model` that works with plain `fit` and `kerastl.fit`.

    Raises:
        InputError: For a backbone, size, policy or weights of any sort that do
            not fit.
    """
    tasks = as_tasks(tasks)
    keras.utils.set_random_seed(seed)
    base = make_backbone(backbone, weights, image_size, preprocessing)
    taken = [n.operation.name for n in nodes(keras.Model(base.image, base.features))]
    logits = add_heads(base.features, tasks, dropout, seed, taken)
    model = keras.Model(base.image, logits, name=_model_name(base.name))
    size = (base.image.shape[1], base.image.shape[2])
    seen = getattr(getattr(backbone, "kerastl_spec", None), "trained_on", ())
    spec = Spec(tasks, size, base.name, _layer(base.output), _layer(base.features), trained_on=seen)
    compile_model(with_spec(model, spec), learning_rate, loss_weights, positive_weights)
    set_trainable(model, trainable, train_batch_norm=train_batch_norm)
    say_untrained(model)
    return model


def compile_model(
    model: keras.Model,
    learning_rate: float = RATE,
    loss_weights: Mapping[str, float] | None = None,
    positive_weights: Mapping[str, Sequence[float]] | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
) -> keras.Model:
    """Compile a kerastl model with the losses and metrics of its tasks.

    Args:
        model: A model with a spec.
        learning_rate: Of the AdamW that plain `model.fit` uses.
        loss_weights: Weight of each task's loss by task name.
        positive_weights: Weights of the positive labels by task name.
        optimizer: What plain `model.fit` and `kerastl.fit` use in place of their AdamW.

    Returns:
        The same model.

    Raises:
        InputError: For weights that do not fit the tasks.
    """
    tasks = model.kerastl_spec.tasks
    model.compile(
        optimizer=optimizer or keras.optimizers.AdamW(learning_rate, name=DEFAULT_OPTIMIZER),
        loss=losses_for(tasks, positive_weights),
        loss_weights=task_weights(tasks, loss_weights),
        metrics=metrics_for(tasks),
    )
    return named_losses(model, tasks)


def _layer(tensor: Any) -> str:
    return tensor._keras_history.operation.name


def _model_name(backbone: str) -> str:
    return f"kerastl_{backbone}".replace("/", "_").lower()


def _words(classes: Iterable[str] | str) -> Sequence[str]:
    return [classes] if isinstance(classes, str) else list(classes)
