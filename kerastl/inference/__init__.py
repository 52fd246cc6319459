"""Inference: a predictor for every runtime, predictions of many pictures, evaluation.

`litert`, `onnx` and `openvino` each run one kind of file; `predictors` opens any of them by what it
is, and a Keras model too, behind one call. `sidecar` reads and writes `model.json`, by which an app
and `predict` know what the scores are.

May use: `training`, `features`, `models`, `scoring`, `distributed`, the runtimes.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "evaluation": ["evaluate", "tune_thresholds"],
        "prediction": ["predict"],
    },
)
