"""The house: who may import whom, and what loads when."""

import ast

import pytest

import kerastl
from tests.support.commands import PACKAGE, loaded_after

# The floors, lowest first. A module imports only from floors below its own, and
# on its own floor only from those listed before it.
FLOORS = {
    "words": [
        "errors", "files", "kept_settings", "streams", "tasks", "pictures", "uncertain",
        "manifest", "contents", "exchange", "splits", "assembly", "cells", "tags", "inferred",
        "coverage", "tables", "folders", "readers", "tfds", "solar_cells", "label_counts",
        "arrays", "balance", "batches", "decisions", "measures", "bootstrap", "scores",
        "differences", "hiding",
    ],
    "parts": [
        "torch_weights", "efficientnet_lite_weights", "efficientnet_lite", "applications",
        "graph", "augmentation", "images", "orientation", "resizing", "decoding",
        "backbones", "losses", "layers", "metrics", "heads", "spec",
    ],
    "core": ["cuts", "trainable", "models", "saving"],
    "features": [
        "openvino_core", "openvino_engine", "engines",
        "network_key", "feature_recipe", "shards", "part_files", "shard_array", "content_index",
        "store", "engine_record", "room", "upkeep", "filling", "extraction", "ray_connection",
        "ray_answers", "worker_shares", "cluster", "task_pool", "blocks", "feature_sources",
        "features", "feature_chain", "sampling", "gathering", "optimizers",
    ],
    "verbs": [
        "progress", "resume", "devices", "listeners", "datasets", "training_data", "provenance",
        "source_options", "sources", "training", "formats", "sidecar", "litert",
        "tflite_file", "latency",
        "onnx_model", "openvino_model", "predictors", "picture_scores",
        "prediction_parts", "prediction_blocks", "prediction",
        "evaluation", "thresholds", "drawing", "plots", "reports",
        "conversion", "saved_model_writer", "tflite_metadata", "onnx_conversion",
        "format_files",
        "quantization_advice", "export_report", "agreement", "contract", "export_folder",
        "exporting", "file_check", "handover", "handover_json", "learnt_stages", "pipeline_stages",
        "pipeline", "pipeline_files", "paired_interval", "attribution_plot", "attribution_report",
        "attribution", "runs", "stored_scores", "trials",
        "subsets", "power_law", "curve_errors", "crossings", "curve_plot",
        "curve_report", "kept_trials", "curve_data", "learning_curves", "curve_candidates",
        "parallel_heads", "self_training", "policy_report", "policies", "joint_report",
        "task_weights",
        "search_space", "search_features", "search_bases", "phase_callbacks", "trial_fits",
        "hypermodel",
        "trial_scores", "paired_scores", "depth_choice",
        "leaderboard_plot", "leaderboard", "oracles", "trial_jobs", "search_loop",
        "search_progress", "search_settings", "searching",
    ],
    "edge": [
        "console", "arguments", "picture_list", "network_verbs", "label_verbs", "verbs",
        "feature_verbs", "cache_verbs", "search_verbs", "curve_verbs", "litert_js", "try_files",
        "try_server", "export_verbs", "recipes", "demo",
        "options", "cli_models", "cli_labels", "cli_features", "cli_networks", "cli_search",
        "cli_curve", "cli_export", "cli",
    ],
}  # fmt: skip
ORDER = [module for floor in FLOORS.values() for module in floor]
FILES = sorted(p.stem for p in PACKAGE.glob("*.py") if p.stem != "__init__")


def imported(module):
    tree = ast.parse((PACKAGE / f"{module}.py").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kerastl"):
            inner = node.module.removeprefix("kerastl").lstrip(".")
            yield from [inner] if inner else [a.name for a in node.names]
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("kerastl.") for a in node.names
                        if a.name.startswith("kerastl."))  # fmt: skip


def top_level(module):
    tree = ast.parse((PACKAGE / f"{module}.py").read_text("utf-8"))
    for node in tree.body:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (name.partition(".")[0] for name in names)


def test_every_module_has_a_floor():
    assert len(FILES) > 40
    assert sorted(ORDER) == FILES


def test_the_imports_are_found():
    """Only these import nothing of kerastl's: else the next test would have nothing to hold."""
    alone = {"curve_errors", "errors", "exchange", "options", "orientation", "progress", "resizing",
             "streams"}  # fmt: skip
    assert {m for m in FILES if not set(imported(m))} == alone
    assert {"augmentation", "spec", "trainable", "features"} <= set(imported("training"))


@pytest.mark.parametrize("module", FILES)
def test_imports_only_go_down(module):
    place = ORDER.index(module)
    upward = [m for m in imported(module) if m in ORDER and ORDER.index(m) >= place]
    assert upward == []
    assert all(m in ORDER or m == "__version__" for m in imported(module))


@pytest.mark.parametrize("module", FLOORS["words"])
def test_the_lowest_floor_knows_no_keras(module):
    assert not {"keras", "tensorflow", "keras_tuner"} & set(top_level(module))


@pytest.mark.parametrize("module", FILES)
def test_a_file_is_one_room(module):
    assert len((PACKAGE / f"{module}.py").read_text("utf-8").splitlines()) <= 300


@pytest.mark.parametrize(
    "code",
    [
        "import kerastl; dir(kerastl); kerastl.Task",
        "import sys; sys.argv = ['kerastl', '--help']\n"
        "from kerastl.cli import main\ntry: main()\nexcept SystemExit: pass",
    ],
)
def test_neither_import_nor_help_loads_keras(code):
    assert not {"keras", "tensorflow", "pandas", "sklearn", "matplotlib"} & loaded_after(code)


def test_reading_data_loads_no_keras():
    assert not {"keras", "tensorflow"} & loaded_after("import kerastl; kerastl.read_folder")


@pytest.mark.parametrize("name", [n for n in kerastl.__all__ if n != "__version__"])
def test_every_public_name_loads_and_is_documented(name):
    found = getattr(kerastl, name)
    first = (found.__doc__ or "").strip().partition("\n")[0]
    # A number has its type's words; a dataclass without words of its own, its signature.
    assert name in ("UNKNOWN", "UNCERTAIN") or first.endswith((".", ":", "?"))
    assert not first.startswith(f"{name}(")


def test_no_public_name_is_a_module_that_would_shadow_it():
    """Python binds a submodule that was imported to its name in the package."""
    assert not set(kerastl._MODULE) & set(FILES)
    assert set(kerastl._MODULES) < set(FILES)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kerastl.nothing


def test_no_unsafe_deserialisation():
    """Pickle is read by the one restricted reader only, and nothing is evaluated."""
    for module in FILES:
        names = {n.id for n in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text()))
                 if isinstance(n, ast.Name)}  # fmt: skip
        assert not {"eval", "exec", "__import__"} & names, module
        assert "pickle" not in set(top_level(module)) or module == "torch_weights"
