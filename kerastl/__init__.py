"""kerastl: from a folder of pictures, some labels unknown, to a checked model on a phone.

    import kerastl
    data = kerastl.read_folder("pictures")
    model = kerastl.classifier("MobileNetV2", data.tasks[0].classes, trainable="stage4")
    kerastl.fit(model, data)
    print(kerastl.evaluate(model, data))
    kerastl.export(model, "saved_models/mine/1", calibration=data, evaluation=data)

Names load on first use, so `import kerastl` loads neither Keras nor TensorFlow.
"""

from kerastl import backend
from kerastl.lazy import lazy_names

backend.choose()

__version__ = "0.1.0"

__getattr__, __dir__, _ALL = lazy_names(
    __name__,
    {
        "errors": ["InputError"],
        "data": [
            "UNCERTAIN",
            "UNKNOWN",
            "Task",
            "Manifest",
            "check_pictures",
            "LabelReport",
            "label_report",
            "positive_weights",
        ],
        "data.readers": ["read_csv", "read_folder", "read_frame", "read_solar_cells", "read_tfds"],
        "scoring": [
            "Scores",
            "plot_scores",
            "Difference",
            "difference",
            "Thresholds",
            "choose_thresholds",
        ],
        "models": [
            "list_backbones",
            "Cut",
            "Split",
            "cut_points",
            "split",
            "stages",
            "freeze_plan",
            "set_trainable",
            "classifier",
            "create_model",
            "multilabel_classifier",
            "multitask_classifier",
            "load_model",
            "save_model",
            "spec_of",
        ],
        "features": ["extract_features"],
        "features.store": ["list_store", "prune_store", "verify_store"],
        "training": ["fit", "image_dataset"],
        "inference": ["evaluate", "tune_thresholds", "predict"],
        "pipelines": [
            "ArrayType",
            "ImageType",
            "LabelType",
            "Stage",
            "Pipeline",
            "Trace",
            "load_pipeline",
            "save_pipeline",
            "attribute",
            "Attribution",
        ],
        "tuning": ["UnfreezeHyperModel", "Leaderboard", "Search", "search"],
        "deploy": ["RefusedExport", "export", "check_file"],
        "experiments": [
            "PolicyReport",
            "compare_policies",
            "JointReport",
            "joint_or_separate",
            "TaskWeights",
            "tune_task_weights",
            "self_train",
        ],
        "experiments.curves": [
            "end_to_end",
            "joint",
            "scratch",
            "separate",
            "staged",
            "transfer",
            "learning_curve",
            "LearningCurve",
        ],
    },
    modules=["layers", "losses", "metrics"],
)
__all__ = [*_ALL, "__version__"]
