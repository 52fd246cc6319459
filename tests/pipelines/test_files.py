"""A saved pipeline comes back whole and only whole; its learnt stages export as any model."""

from __future__ import annotations

import json
import os
import shutil
from fractions import Fraction

import keras
import numpy as np
import pytest

from kerastl.data.tasks import Task
from kerastl.deploy.exporting import export
from kerastl.errors import InputError
from kerastl.inference.predictors import load_predictor
from kerastl.pipelines.files import load_pipeline, save_pipeline
from kerastl.pipelines.pipeline import Pipeline
from kerastl.pipelines.stages import Stage
from kerastl.pipelines.types import ArrayType, ImageType
from tests.support.tiny_models import SIZE, patches, tiny

SCENE, PATCH = ImageType(32, 32), ImageType(SIZE, SIZE)
CALLS = {"crop": lambda scene: scene[:SIZE, :SIZE]}


@pytest.fixture(scope="module")
def scenes():
    return patches(5).repeat(2, axis=1).repeat(2, axis=2)


@pytest.fixture(scope="module")
def pipeline():
    x = keras.Input((3,))
    sharpen = keras.Model(x, keras.layers.Rescaling(2.0)(x), name="sharpen")
    crop = Stage("crop", CALLS["crop"], SCENE, PATCH, batched=False)
    return Pipeline([crop, Stage("read", tiny([Task("zone", ["a", "b", "c"])])), sharpen])


@pytest.fixture(scope="module")
def made(pipeline, tmp_path_factory):
    return save_pipeline(pipeline, tmp_path_factory.mktemp("saved") / "deep" / "mine")


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


def rewrite(folder, change):
    values = json.loads((folder / "pipeline.json").read_text())
    change(values)
    (folder / "pipeline.json").write_text(json.dumps(values))


def test_a_pipeline_comes_back_as_it_was(pipeline, made, scenes):
    back = load_pipeline(made, CALLS)
    assert str(back) == str(pipeline)
    assert [s.batched for s in back.stages] == [False, True, True]
    np.testing.assert_allclose(back(scenes), pipeline(scenes), atol=1e-6)


def test_classes_stay_classes(tmp_path):
    stage = Stage("read", tiny([Task("zone", ["a", "b", "c"])]), answers="classes")
    back = load_pipeline(save_pipeline(Pipeline([stage]), tmp_path))
    assert back(patches(3)) == Pipeline([stage])(patches(3))


def test_what_is_in_the_folder(made):
    told = json.loads((made / "pipeline.json").read_text())
    assert [s["kind"] for s in told["stages"]] == ["callable", "kerastl", "keras"]
    files = {s["file"] for s in told["stages"] if "file" in s}
    assert {p.name for p in made.iterdir()} == {"pipeline.json", *files}
    assert "lambda" not in (made / "pipeline.json").read_text()


def test_a_learnt_stage_exports_like_any_model(made, scenes, tmp_path):
    back = load_pipeline(made, CALLS)
    report = export(back["read"], tmp_path, ["float32"], evaluation=patches(4), latency=False)
    assert report.files[0].tasks["zone"].same == 1.0
    exported = load_predictor(tmp_path / "model_float32.tflite")
    found = exported.predict(scenes[:, :SIZE, :SIZE])["zone"]
    np.testing.assert_allclose(found, back.trace(scenes)["read"], atol=1e-4)


def test_saving_again_leaves_no_older_file(pipeline, tmp_path):
    save_pipeline(pipeline, tmp_path)
    save_pipeline(Pipeline([pipeline.stages[2]]), tmp_path)
    (tmp_path / "mine.txt").write_text("stays")
    save_pipeline(Pipeline([pipeline.stages[2]]), tmp_path)
    assert len(list(tmp_path.glob("*.keras"))) == 1
    assert (tmp_path / "mine.txt").exists()
    assert repr(load_pipeline(tmp_path)) == "Pipeline(sharpen)"


def test_a_save_that_fails_leaves_the_older_pipeline_whole(pipeline, tmp_path, scenes, monkeypatch):
    save_pipeline(pipeline, tmp_path)
    before, real = load_pipeline(tmp_path, CALLS)(scenes), os.replace

    def full(source, target):
        if str(target).endswith("pipeline.json"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="Nothing can be written to .*: no space left"):
        save_pipeline(Pipeline([pipeline.stages[2]]), tmp_path)
    monkeypatch.undo()
    np.testing.assert_allclose(load_pipeline(tmp_path, CALLS)(scenes), before, atol=1e-6)
    assert not list(tmp_path.glob(".*"))
    save_pipeline(Pipeline([pipeline.stages[2]]), tmp_path)
    assert len(list(tmp_path.glob("*.keras"))) == 1


def test_missing_and_odd_callables_are_told_at_once(made):
    with pytest.raises(InputError) as caught:
        load_pipeline(made, {"corp": len, "read": len})
    assert caught.value.faults == (
        "read: it is a model with a file; give no callable for it",
        "corp: the pipeline has no such stage. Did you mean crop?",
        "crop: its callable is missing: load_pipeline(folder, {'crop': ...})",
    )
    with pytest.raises(InputError, match="crop: Expected a callable .* Received: str"):
        load_pipeline(made, {"crop": "os.system"})


def test_a_stage_of_another_hand_over_is_refused(made):
    same = Stage("crop", CALLS["crop"], SCENE, PATCH, batched=False)
    assert load_pipeline(made, {"crop": same}).stages[0] is same
    with pytest.raises(InputError) as caught:
        load_pipeline(made, {"crop": Stage("crop", CALLS["crop"], PATCH, PATCH)})
    assert [f.partition(":")[0] for f in caught.value.faults] == ["crop", "takes", "batched"]


def test_a_python_type_of_ones_own_needs_its_stage(tmp_path):
    stage = Stage("half", lambda v: v, Fraction, Fraction)
    save_pipeline(Pipeline([stage]), tmp_path)
    assert load_pipeline(tmp_path, {"half": stage}).one(Fraction(1, 2)) == Fraction(1, 2)
    with pytest.raises(InputError, match="half: Expected a Stage .*'fractions.Fraction'"):
        load_pipeline(tmp_path, {"half": stage.call})


def test_a_changed_or_missing_file_is_refused(folder):
    one, two = sorted(folder.glob("*.keras"))
    one.write_bytes(one.read_bytes()[:-1] + b"x")
    two.unlink()
    with pytest.raises(InputError) as caught:
        load_pipeline(folder, CALLS)
    assert "is not the file that was saved; its SHA-256 differs" in caught.value.faults[0]
    assert caught.value.faults[1].startswith("sharpen: there is no file")


@pytest.mark.parametrize("name", ["../evil.keras", "/evil.keras", "evil.keras", "a/b.keras",
                                  "stage_1_0123456789ab.keras/../../x", 3, None],
                         ids=range(7))  # fmt: skip
def test_a_path_out_of_the_folder_is_never_opened(folder, name):
    rewrite(folder, lambda values: values["stages"][1].update(file=name))
    with pytest.raises(InputError, match="stage 2: file: expected a name such as stage_1_"):
        load_pipeline(folder, CALLS)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda v: v.update(version=2), "version: expected 1, received 2"),
        (lambda v: v.update(stages=[]), "expected an object with a list of stages"),
        (lambda v: v["stages"].append(3), "stage 4: expected an object with a name"),
        (lambda v: v["stages"][0].update(kind="pickle"), "stage 1: kind: expected one of call"),
        (lambda v: v["stages"][0].update(batched=1), "stage 1: batched: expected true or false"),
        (lambda v: v["stages"][1].update(sha256=None), "stage 2: sha256: expected a text"),
        (lambda v: v["stages"][1].update(answers=[]), "read: Expected answers= of scores"),
        (lambda v: v["stages"][0].update(takes="os"), "crop: Expected the type of a hand-over"),
        (lambda v: v["stages"][0].update(name="read"), "the name 'read' is there 2 times"),
    ],
    ids=range(9),
)
def test_a_description_that_is_none_is_refused(folder, change, told):
    rewrite(folder, change)
    with pytest.raises(InputError, match=told):
        load_pipeline(folder, CALLS)


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "is no JSON"), ("[" * 100000, "is no JSON"), ("3", "does not describe a pipeline")],
    ids=range(3),
)
def test_a_file_that_is_no_description_is_refused(tmp_path, text, told):
    (tmp_path / "pipeline.json").write_text(text)
    with pytest.raises(InputError, match=told):
        load_pipeline(tmp_path)


def test_a_folder_without_a_pipeline_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"without pipeline.json in it"):
        load_pipeline(tmp_path / "none")


def test_models_with_python_code_inside_are_refused(tmp_path):
    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.Lambda(lambda v: v * 2, name="twice")(x))
    with pytest.raises(InputError, match="without Lambda layers.*\n.*double: the layer 'twice'"):
        save_pipeline(Pipeline({"double": model}), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written(unprivileged, pipeline):
    (unprivileged / "file").write_text("")
    with pytest.raises(InputError, match=r"Expected a folder. .*file, which is a file"):
        save_pipeline(pipeline, unprivileged / "file" / "below")
    (unprivileged / "mine").mkdir(mode=0o500)
    with pytest.raises(InputError, match="could not be written into .*: Permission denied"):
        save_pipeline(pipeline, unprivileged / "mine" / "below")


def test_types_survive_the_file(tmp_path):
    kinds = {"box": ArrayType((4,), "float32"), "name": str}
    save_pipeline(Pipeline([Stage("a", len, dict, kinds), Stage("b", len, kinds)]), tmp_path)
    back = load_pipeline(tmp_path, {"a": len, "b": len})
    assert back.stage("a").gives == back.stage("b").takes == kinds
    assert back.stage("a").takes is dict
