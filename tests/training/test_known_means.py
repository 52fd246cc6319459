"""The validation loss is a mean over known labels, in whatever batches they come."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerastl.data.tasks import Task
from kerastl.losses import MaskedBinaryCrossentropy
from kerastl.models.factories import classifier, create_model
from kerastl.training.fitting import fit
from kerastl.training.known_means import even_weights, evened, uneven_tasks

TASKS = [Task("way", ["across", "down"]), Task("flat", ["no", "yes"], "binary")]


@pytest.fixture
def sparse(striped):
    """Forty pictures of which thirteen labels are known; two of their five batches have none."""
    images, codes = striped(40)
    there = np.r_[0:8, 16:20, 24:25]
    return images, np.where(np.isin(np.arange(40), there), codes, -1)


def known_loss(model, images, codes):
    """Oracle: one batch of the known examples alone."""
    rows = codes >= 0
    return model.evaluate(images[rows], codes[rows], batch_size=rows.sum(), verbose=0)[0]


@pytest.mark.parametrize(("cache", "mixed"), [("auto", False), (False, True)])
def test_the_validation_loss_is_that_of_the_known_alone(network, striped, sparse, cache, mixed):
    model = classifier(network(), ["across", "down"])
    order = np.random.default_rng(0).permutation(40) if mixed else slice(None)
    images, codes = (part[order] for part in sparse)
    history = fit(model, striped(40), (images, codes), epochs=1, batch_size=8, cache=cache,
                  verbose=0)  # fmt: skip
    expected = known_loss(model, images, codes)
    assert history.history["val_loss"] == pytest.approx([expected], rel=1e-5)


def test_several_tasks_and_what_is_weighted_are_each_over_its_own(network, striped, sparse):
    images, codes = sparse
    other = np.where(codes >= 0, -1, np.arange(40) % 2)  # known where the first is not
    model = create_model(network(), TASKS, loss_weights={"flat": 0.5})
    train = images, {"way": striped(40)[1], "flat": np.arange(40) % 2}
    history = fit(model, train, (images, {"way": codes, "flat": other}), epochs=1, batch_size=8,
                  verbose=0)  # fmt: skip
    logits = {n: z.numpy() for n, z in model(images, training=False).items()}
    rows = codes >= 0
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    way = float(loss(codes[rows], logits["way"][rows]))
    # A binary task's is the sum over known labels divided by all examples, as in training.
    flat = float(MaskedBinaryCrossentropy()(other.astype("float32"), logits["flat"]))
    assert history.history["val_loss"] == pytest.approx([way + 0.5 * flat], rel=1e-5)


def test_a_dataset_that_is_read_anew_does_not_depend_on_its_batches(sparse, network):
    """Over all examples: known labels count alike, and batches without any do not count as 0."""
    images, codes = sparse
    model = classifier(network(), ["across", "down"])
    tasks = model.kerastl_spec.tasks
    expected = known_loss(model, images, codes) * (codes >= 0).mean()
    for size in (8, 10, 7):
        data = tf.data.Dataset.from_tensor_slices((images, codes)).batch(size)
        found = model.evaluate(evened(data, tasks, ["label"]), verbose=0)[0]
        assert found == pytest.approx(expected, rel=1e-5)


def test_nothing_is_weighted_where_all_is_known():
    labels = {"t": np.array([0, 1, 1, 0])}
    assert even_weights(labels, ["t"], 2) is None
    assert even_weights({"t": np.array([0, -1, 1, 0])}, [], 2) is None
    assert even_weights({"t": np.array([0, -1])}, ["t"], 2) is None  # one batch is even


def test_fillers_count_as_keras_counts_them():
    """Five examples in batches of three and two; the first has a filler for a second device."""
    labels = np.array([0, 1, -1, 1, 0])
    found = even_weights({"t": labels}, ["t"], 3, [4, 2])["t"]
    losses = np.array([3.0, 5.0, 9.0, 2.0, 4.0])
    batches = [slice(0, 3), slice(3, 5)]
    means = [np.sum((found * losses)[b][labels[b] >= 0]) / (labels[b] >= 0).sum() for b in batches]
    assert np.average(means, weights=[4, 2]) == pytest.approx(losses[labels >= 0].mean())


def test_whose_loss_divides_by_the_known_labels(network):
    model = create_model(network(), TASKS)
    assert uneven_tasks(model, TASKS) == ("way",)
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = {"way": plain, "flat": MaskedBinaryCrossentropy(normalizer="known")}
    model.compile("sgd", losses)
    assert uneven_tasks(model, TASKS) == ("flat",)
    model.compile("sgd", losses, weighted_metrics={"way": ["accuracy"]})
    assert uneven_tasks(model, TASKS) == ()
