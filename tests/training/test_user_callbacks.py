import contextlib

import keras
import numpy as np
import pandas as pd
import pytest

from kerastl.errors import InputError
from kerastl.models.factories import classifier, compile_model
from kerastl.training.fitting import fit
from kerastl.training.user_callbacks import check_callbacks, counts_batches


class Spy(keras.callbacks.Callback):
    """Writes down what it is called with, and what its model says of a picture."""

    def __init__(self, image, stop_after=99):
        super().__init__()
        self.image, self.stop_after = image, stop_after
        self.calls, self.answers = [], []

    def on_train_begin(self, logs=None):
        self.calls.append(("begin", self.params["epochs"], self.params["steps"]))
        self.calls.append(type(self.model.optimizer).__name__)

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(("batch", batch, sorted(logs)))

    def on_test_end(self, logs=None):
        self.calls.append(("test", sorted(logs)))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("epoch", epoch, sorted(logs)))
        self.answers.append(self.model(self.image, training=False).numpy())
        self.answers.append(float(self.model.optimizer.learning_rate))
        if len(self.answers) >= 2 * self.stop_after:
            self.model.stop_training = True


@pytest.fixture
def spied(network, striped):
    def fitted(cache, **options):
        images, codes = striped(40)
        model = classifier(network(), ["across", "down"], trainable="stage1", dropout=0.3)
        spy = Spy(images[:2], **options)
        history = fit(model, (images, codes), (images, codes), epochs=2, head_epochs=1,
                      batch_size=16, cache=cache, callbacks=[spy], verbose=0)  # fmt: skip
        return spy, history, model

    return fitted


def test_a_callback_sees_the_same_live_and_cached(spied):
    """The same calls with the same words, and as its model the whole one, that trains."""
    cached, live = (spied(cache)[0] for cache in (True, False))
    assert cached.calls == live.calls
    assert cached.calls[:2] == [("begin", 3, 3), "DepthwiseAdamW"]
    assert [call[1] for call in cached.calls if call[0] == "epoch"] == [0, 1, 2]
    assert [call[0] for call in cached.calls].count("begin") == 1
    assert len(cached.answers) == 6
    for one, other in zip(cached.answers, live.answers, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(cached.answers[0] - cached.answers[-2]).max() > 1e-4


@pytest.mark.parametrize(
    ("cache", "after", "phases"), [(True, 1, ["heads"]), (False, 2, ["heads", "tail"])]
)
def test_a_callback_may_end_the_fit(spied, caplog, cache, after, phases):
    _, history, _ = spied(cache, stop_after=after)
    assert history.history["phase"] == phases
    told = "A callback ended the fit in epoch 1 of the heads: what follows them was not trained."
    assert (told in caplog.text) == (len(phases) == 1)


def test_a_fit_that_a_callback_ended_is_done(network, striped, tmp_path):
    data, options = striped(40), {"epochs": 2, "resume": tmp_path, "verbose": 0}
    make = lambda: classifier(network(), ["across", "down"], trainable="stage1")  # noqa: E731
    stop = keras.callbacks.LambdaCallback()
    stop.on_epoch_end = lambda epoch, logs: setattr(stop.model, "stop_training", True)
    first, again = (fit(make(), data, callbacks=[stop], **options) for _ in range(2))
    assert first.history == again.history
    assert first.history["phase"] == ["heads"]


def test_callbacks_see_one_training_over_both_phases(network, striped, tmp_path):
    """Keras' own: no row, no step and no file of one phase is put over one of the other."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = classifier(network(), ["across", "down"], trainable="stage1")
    data, rates, ends = striped(40), [], []
    model = compile_model(model, optimizer=keras.optimizers.SGD(0.1))
    history = fit(
        model, data, data, epochs=3, head_epochs=2, verbose=0,
        callbacks=[
            keras.callbacks.CSVLogger(tmp_path / "epochs.csv"),
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch:02d}.weights.h5",
                                            save_weights_only=True),
            keras.callbacks.TensorBoard(tmp_path / "board", write_graph=False),
            keras.callbacks.LearningRateScheduler(lambda epoch, _: 0.1 / (1 + epoch)),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: rates.append(logs["learning_rate"]),
                on_train_end=ends.append,
            ),
        ],
    )  # fmt: skip
    rows = pd.read_csv(tmp_path / "epochs.csv")
    assert rows["epoch"].tolist() == history.epoch == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(rows["val_loss"], history.history["val_loss"], rtol=1e-6)
    saved = sorted(p.name for p in tmp_path.glob("*.h5"))
    assert saved == [f"{epoch:02d}.weights.h5" for epoch in range(1, 6)]
    np.testing.assert_allclose(rates, 0.1 / np.arange(1, 6), rtol=1e-6)
    assert len(ends) == 1
    [events] = (tmp_path / "board" / "train").glob("events*")
    board = EventAccumulator(str(events), {"tensors": 0}).Reload()
    assert [event.step for event in board.Tensors("epoch_loss")] == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_epochs_count_on_from_those_that_were_done_before(network, striped, tmp_path):
    data, seen = striped(40), []
    options = {"epochs": 2, "resume": tmp_path, "verbose": 0}

    def tell(epoch, logs):
        seen.append(epoch)
        if seen == [0, 1, 2]:
            raise KeyboardInterrupt

    for _ in range(2):
        model = classifier(network(), ["across", "down"], trainable="stage1")
        with contextlib.suppress(KeyboardInterrupt):
            fit(model, data, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=tell)],
                **options)  # fmt: skip
    assert seen == [0, 1, 2, 3]


def test_callbacks_that_do_not_go_with_a_fit_are_refused(network, striped, tmp_path):
    model = classifier(network(), ["across", "down"])
    given = [
        keras.callbacks.BackupAndRestore(tmp_path),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
        keras.callbacks.ReduceLROnPlateau(),
    ]
    with pytest.raises(InputError, match="callbacks that this fit cannot have") as caught:
        fit(model, striped(8), callbacks=given, verbose=0)
    backup, scheduler, plateau = caught.value.faults
    assert "BackupAndRestore cannot restore a fit of two phases. Give resume=FOLDER" in backup
    assert "LearningRateScheduler sets the learning rate, which follows a schedule" in scheduler
    assert plateau.startswith("ReduceLROnPlateau sets")
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    for optimizer, refused in ((keras.optimizers.SGD(schedule), 2), (keras.optimizers.SGD(), 1)):
        with pytest.raises(InputError) as caught:
            check_callbacks(given[:1] + given[2:], optimizer)
        assert len(caught.value.faults) == refused


def test_a_checkpoint_of_the_tail_is_the_whole_model(network, striped, tmp_path):
    images, codes = striped(40)
    model = classifier(network(), ["across", "down"], trainable="stage1")
    path = tmp_path / "best.keras"
    keep = keras.callbacks.ModelCheckpoint(path, monitor="val_loss")
    fit(model, (images, codes), (images, codes), epochs=1, cache=True, callbacks=[keep],
        verbose=0)  # fmt: skip
    loaded = keras.models.load_model(path)
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-5
    )


@pytest.mark.parametrize("cache", [True, False])
def test_the_models_own_optimizer_is_there_afterwards(spied, cache):
    model = spied(cache)[2]
    assert type(model.optimizer) is keras.optimizers.AdamW
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("callback", "counts"),
    [
        (keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None), True),
        (keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None), False),
        (keras.callbacks.TerminateOnNaN(), True),
        (keras.callbacks.EarlyStopping(), False),
        (Spy(None), True),
    ],
)
def test_who_counts_batches(callback, counts):
    assert counts_batches(callback) == counts
