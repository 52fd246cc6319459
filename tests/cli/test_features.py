"""The command line on very many pictures: features made once, kept, found again, looked after."""

import json
import shutil

import pandas as pd
import pytest
from PIL import Image

from kerastl.cli.opening import list_pictures
from kerastl.cli.runs import STATE
from kerastl.features.store.upkeep import list_store
from kerastl.models import backbones
from tests.support.commands import kerastl, loaded_after
from tests.support.networks import small_network, stripes

OWN = ["--backbone", "own.keras"]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """own.keras, 48 pictures in class folders, one of them twice, and a file that is none."""
    root = tmp_path_factory.mktemp("features")
    small_network(dropout=0.3).save(root / "own.keras")
    images, codes = stripes(48)
    for number, (image, code) in enumerate(zip(images, codes, strict=True)):
        folder = root / "pictures" / ("down" if code else "across")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:03}.png")
    first = next((root / "pictures" / "down").iterdir())
    shutil.copy(first, root / "pictures" / "down" / "copy.png")
    (root / "pictures" / "across" / "text.jpg").write_text("this is no picture")
    return root


@pytest.fixture(scope="module")
def stored(work):
    """A cache folder with the features in front of the heads, and what extract printed."""
    return work / "cache", kerastl("extract", "pictures", *OWN, "--cache", "cache", cwd=work)


@pytest.fixture
def cache(stored, work):
    """A copy of that folder, to damage."""
    shutil.rmtree(work / "copy", ignore_errors=True)
    return shutil.copytree(stored[0], work / "copy")


def written(folder):
    """Every shard's files, and when each was written."""
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.suffix in (".npy", ".json")}


def test_extract_says_how_many_where_and_what_could_not_be_read(stored):
    folder, told = stored
    assert "Features of 49 pictures at features (12): 48 made now; copies of others: 1." in told
    assert "Skipped: 1 file\n" in told
    assert "text.jpg: not a picture" in told
    row = list_store(folder).iloc[0]
    assert row["pictures"] == 48
    assert f"Engine keras, {row['bytes'] / 1e3:.1f} kB in cache/{row['prefix']}." in told
    assert "Next:  kerastl train LABELLED --backbone own.keras --trainable heads --cache cache" in (
        told
    )


def test_a_second_extract_makes_nothing(stored, work, inside):
    before = written(stored[0])
    told = inside("extract", "pictures", *OWN, "--cache", "cache", cwd=work)
    assert "49 pictures at features (12): all are there already" in told
    assert written(stored[0]) == before


def test_a_new_picture_is_the_only_one_made(cache, work, inside):
    Image.new("RGB", (16, 16), "red").save(work / "one.png")
    rows = [p.name for p in (work / "pictures" / "down").iterdir()]
    lines = ["image,note", "one.png,new", *(f"pictures/down/{name},old" for name in rows)]
    (work / "some.csv").write_text("\n".join(lines))
    told = inside("extract", "some.csv", *OWN, "--cache", "copy", cwd=work)
    assert f"Features of {len(rows) + 1} pictures" in told
    assert f"1 made now, {len(rows) - 1} there already; copies of others: 1." in told


@pytest.mark.parametrize(
    ("at", "trainable"), [("heads", "heads"), ("features", "heads"), ("stage1", "stage1")]
)
def test_train_finds_what_extract_made(at, trainable, work, inside):
    """The same prefix: no picture that extract has seen is run through the network again."""
    told = inside("extract", "pictures", *OWN, "--at", at, "--cache", f"at-{at}", cwd=work)
    assert f"--trainable {trainable} --cache at-{at}" in told
    layer = "features (12)" if trainable == "heads" else "drop (8x8x8)"
    assert layer in told
    before = written(work / f"at-{at}")
    assert before
    inside("train", "pictures", *OWN, "--trainable", trainable, "--epochs", "1",
           "--cache", f"at-{at}", "--budget", "1GB", "--out", f"run-{at}", cwd=work)  # fmt: skip
    after = written(work / f"at-{at}")
    assert before.items() <= after.items()
    made = list_store(work / f"at-{at}").set_index("layer")["pictures"]
    # The heads' own phase has its features made of those at the deeper cut.
    assert set(made.index) == {layer.split()[0], "features"}
    assert (trainable == "heads") == (after == before)
    assert json.loads((work / f"run-{at}" / "report.json").read_text())["training"]["epochs"] >= 1


@pytest.mark.slow
def test_extract_on_ray_is_the_same(stored, work):
    told = kerastl("extract", "pictures", *OWN, "--cache", "far", "--ray", "local", cwd=work)
    assert "Features of 49 pictures at features (12): 48 made now; copies of others: 1." in told
    assert "text.jpg: not a picture" in told
    near, far = (sorted(folder.rglob("*.npy")) for folder in (stored[0], work / "far"))
    assert [p.name for p in near] == [p.name for p in far]  # a name is a digest of the content


def test_float16_takes_half_the_room(stored, work, inside):
    told = inside("extract", "pictures", *OWN, "--dtype", "float16", "--at", "stage1",
                  "--cache", "half", cwd=work)  # fmt: skip
    assert "Next:" not in told
    [file] = (work / "half").rglob("*.npy")
    assert file.stat().st_size == 128 + 48 * 8 * 8 * 8 * 2


def test_list(stored, work, inside):
    told = inside("cache", "list", "cache", cwd=work)
    row = list_store(stored[0]).iloc[0]
    for words in (row["prefix"][:8], "small", "features", "1x12", "48", "kB in cache."):
        assert words in told


def test_an_interrupted_run_is_a_cache_too(cache, work, inside):
    shutil.copytree(cache, work / "stopped" / STATE / "features", dirs_exist_ok=True)
    told = inside("cache", "list", "stopped", cwd=work)
    assert f"in stopped/{STATE}/features." in told


def test_looking_after_a_cache_loads_no_keras(stored):
    code = f"import sys; sys.argv = ['kerastl', 'cache', 'list', {str(stored[0])!r}]"
    code += "\nfrom kerastl.cli.main import main\ntry: main()\nexcept SystemExit: pass"
    assert not {"keras", "tensorflow"} & loaded_after(code)


def test_verify_says_what_is_whole_and_exits_1_for_damage(cache, work, inside):
    assert "All 1 shards in copy are whole." in inside("cache", "verify", "copy", cwd=work)
    [shard] = cache.rglob("*.npy")
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    told = inside("cache", "verify", "copy", cwd=work, code=1)
    assert "Damaged: 1 of 1 shards" in told
    assert shard.stem in told
    assert "makes them anew" in told
    assert "48 made now" in inside("extract", "pictures", *OWN, "--cache", "copy", cwd=work)
    assert "All 1 shards" in inside("cache", "verify", "copy", cwd=work)


def test_prune(cache, work, inside):
    freed = int(list_store(cache)["bytes"].sum())
    assert "0 bytes freed" in inside("cache", "prune", "copy", "--keep", "2GB", cwd=work)
    assert "0 bytes freed" in inside("cache", "prune", "copy", "--older-than-days", "1", cwd=work)
    told = inside("cache", "prune", "copy", "--keep", "1kB", cwd=work)
    assert f"{freed / 1e3:.1f} kB freed, 0 bytes left in copy." in told
    assert "There are no features in copy." in inside("cache", "list", "copy", cwd=work)
    assert "0 bytes freed" in inside("cache", "prune", "copy", "--everything", cwd=work)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["cache", "list", "cahce"], "There is no folder cahce. Did you mean cache?"),
        (["cache", "list", "pictures"], "pictures holds no features. Expected a folder that train"),
        (["cache", "verify", "done"], "done holds no features."),
        (["cache", "prune", "cache"], "Expected one of --keep, --older-than-days, --everything. "
                                      "Received: none."),
        (["cache", "prune", "cache", "--keep", "1GB", "--everything"],
         "Received: --keep and --everything."),
        (["cache", "prune", "cache", "--keep", "much"],
         "Expected --keep with a size such as 500MB, 2GB or 1.5e9 (bytes). Received: 'much'."),
        (["cache", "prune", "cache", "--keep", "-1GB"], "Received: '-1GB'."),
        (["cache", "prune", "cache", "--older-than-days", "-1"], "older-than-days"),
        (["cache", "prnue", "cache"], "Did you mean 'prune'?"),
        (["cache", "prune", "cache", "--keeep", "1GB"], "--keep"),
        (["extract", "pictures"], "Missing option '--cache'"),
        (["extract", "pictuers", "--cache", "x"], "There is no folder pictuers. Did you mean "
                                                  "pictures?"),
        (["extract", "gone.csv", "--cache", "x"], "There is no file gone.csv"),
        (["extract", "other.csv", "--cache", "x"], "column 'image' is missing; the columns are a, "
                                                   "b."),
        (["extract", "empty", "--cache", "x"], "Expected folders with pictures"),
        (["extract", "pictures", *OWN, "--at", "stgae1", "--cache", "x"],
         "The model cannot be cut at 'stgae1'. Did you mean stage1"),
        (["extract", "pictures", *OWN, "--at", "branch", "--cache", "x"],
         "The model cannot be cut at 'branch'."),
        (["extract", "pictures", *OWN, "--at", "all", "--cache", "x"],
         "Expected --at with layers to freeze in front of it. Received: 'all'."),
        (["extract", "pictures", *OWN, "--dtype", "int8", "--cache", "x"], "Received: 'int8'"),
        (["extract", "pictures", *OWN, "--engine", "torch", "--cache", "x"], "'torch'"),
        (["extract", "pictures", *OWN, "--budget", "1kB", "--cache", "x"], "the budget is 1.0 kB"),
        (["extract", "pictures", *OWN, "--budget", "5 GBs", "--cache", "x"], "Received: '5 GBs'."),
        (["extract", "pictures", *OWN, "--batch-size", "0", "--cache", "x"], "--batch-size"),
        (["extract", "pictures", *OWN, "--ray", "somewhere", "--cache", "x"],
         "Expected the address of a Ray cluster"),
        (["predict", "own.keras", "pictures", "--ray", "auto"], "--ray needs --cache"),
        (["train", "pictures", *OWN, "--budget", "some"], "Expected --budget with a size"),
        (["train", "pictures", *OWN, "--cahce", "x"], "--cache"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_code_2(args, words, work, stored, inside):
    (work / "empty").mkdir(exist_ok=True)
    (work / "done").mkdir(exist_ok=True)
    (work / "done" / "model.keras").touch()
    (work / "other.csv").write_text("a,b\n1,2\n")
    told = inside(*args, cwd=work, code=2)
    assert words in " ".join(told.replace("│", " ").split())
    assert list((work / "x").rglob("*.npy")) == []


def test_a_list_of_pictures_needs_no_labels(work, monkeypatch):
    monkeypatch.chdir(work)
    (work / "lists").mkdir(exist_ok=True)
    table = pd.DataFrame({"image": ["../pictures/down/copy.png", "gone.png", "", "gone.png"]})
    table.to_csv("lists/new.tsv", sep="\t", index=False)
    found = list_pictures("lists/new.tsv")
    assert found.frame["image"].tolist() == ["pictures/down/copy.png", "lists/gone.png"]
    assert (found.labels()["label"] == -1).all()


def test_an_interruption_is_said_and_has_its_own_exit_code(work, inside, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(backbones, "list_backbones", interrupted)
    assert inside("backbones", cwd=work, code=130) == "Interrupted.\n"
