"""The factories: one flat, compiled `keras.Model` for every kind of task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from kerastl.backbones import make_backbone
from kerastl.graph import nodes
from kerastl.heads import add_heads, losses_for, metrics_for, task_weights
from kerastl.spec import Spec, Trainable, with_spec
from kerastl.tasks import Task, as_tasks
from kerastl.trainable import set_trainable

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
    learning_rate: float = 1e-3,
    loss_weights: Mapping[str, float] | None = None,
    positive_weights: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
) -> keras.Model:
    """Backbone, pooling and heads as one flat graph, compiled.

    Args:
        backbone: A name of `list_backbones()` or a Keras model of one's own,
            which is copied.
        tasks: One task or several.
        trainable: What trains beside the heads: see `set_trainable`.
        weights: The backbone's: "imagenet", None (random) or a weights file.
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
    spec = Spec(tasks, size, base.name, _layer(base.output), _layer(base.features))
    compile_model(with_spec(model, spec), learning_rate, loss_weights, positive_weights)
    return set_trainable(model, trainable, train_batch_norm=train_batch_norm)


def compile_model(
    model: keras.Model,
    learning_rate: float = 1e-3,
    loss_weights: Mapping[str, float] | None = None,
    positive_weights: Mapping[str, Sequence[float]] | None = None,
) -> keras.Model:
    """Compile a kerastl model with the losses and metrics of its tasks.

    Args:
        model: A model with a spec.
        learning_rate: Of AdamW.
        loss_weights: Weight of each task's loss by task name.
        positive_weights: Weights of the positive labels by task name.

    Returns:
        The same model.

    Raises:
        InputError: For weights that do not fit the tasks.
    """
    tasks = model.kerastl_spec.tasks
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate),
        loss=losses_for(tasks, positive_weights),
        loss_weights=task_weights(tasks, loss_weights),
        metrics=metrics_for(tasks),
    )
    return model


def _layer(tensor: Any) -> str:
    return tensor._keras_history.operation.name


def _model_name(backbone: str) -> str:
    return f"kerastl_{backbone}".replace("/", "_").lower()


def _words(classes: Iterable[str] | str) -> Sequence[str]:
    return [classes] if isinstance(classes, str) else list(classes)
