"""kerastl: from a folder of pictures, some labels unknown, to a checked model on a phone.

    import kerastl
    data = kerastl.read_folder("pictures")
    model = kerastl.classifier("MobileNetV2", data.tasks[0].classes, trainable="stage4")
    kerastl.fit(model, data)
    print(kerastl.evaluate(model, data))
    kerastl.export(model, "saved_models/mine/1", calibration=data, evaluation=data)

Names load on first use, so `import kerastl` loads neither Keras nor TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "errors": ["InputError"],
    "tasks": ["UNCERTAIN", "UNKNOWN", "Task"],
    "manifest": ["Manifest"],
    "readers": ["read_csv", "read_folder", "read_frame"],
    "solar_cells": ["read_solar_cells"],
    "tfds": ["read_tfds"],
    "images": ["check_pictures", "image_dataset"],
    "backbones": ["list_backbones"],
    "cuts": ["Cut", "Split", "cut_points", "split", "stages"],
    "trainable": ["freeze_plan", "set_trainable"],
    "models": ["classifier", "create_model", "multilabel_classifier", "multitask_classifier"],
    "saving": ["load_model", "save_model"],
    "spec": ["spec_of"],
    "label_counts": ["LabelReport", "label_report"],
    "balance": ["positive_weights"],
    "thresholds": ["Thresholds", "choose_thresholds", "tune_thresholds"],
    "differences": ["Difference", "difference"],
    "task_weights": ["TaskWeights", "tune_task_weights"],
    "joint_report": ["JointReport", "joint_or_separate"],
    "policies": ["compare_policies"],
    "policy_report": ["PolicyReport"],
    "hypermodel": ["UnfreezeHyperModel"],
    "leaderboard": ["Leaderboard"],
    "curve_candidates": ["end_to_end", "joint", "scratch", "separate", "staged", "transfer"],
    "curve_report": ["LearningCurve"],
    "learning_curves": ["learning_curve"],
    "searching": ["Search", "search"],
    "self_training": ["self_train"],
    "features": ["extract_features"],
    "upkeep": ["list_store", "prune_store", "verify_store"],
    "training": ["fit"],
    "evaluation": ["evaluate"],
    "scores": ["Scores"],
    "plots": ["plot_scores"],
    "export_report": ["RefusedExport"],
    "exporting": ["export"],
    "file_check": ["check_file"],
    "prediction": ["predict"],
    "handover": ["ArrayType", "ImageType", "LabelType"],
    "pipeline_stages": ["Stage"],
    "pipeline": ["Pipeline", "Trace"],
    "pipeline_files": ["load_pipeline", "save_pipeline"],
    "attribution": ["attribute"],
    "attribution_report": ["Attribution"],
}
_MODULE = {name: module for module, names in _NAMES.items() for name in names}
_MODULES = ("layers", "losses", "metrics")

__all__ = sorted([*_MODULE, *_MODULES, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"kerastl.{name}")
    if name not in _MODULE:
        raise AttributeError(f"module 'kerastl' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"kerastl.{_MODULE[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
