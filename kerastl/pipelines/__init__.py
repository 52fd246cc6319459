"""Pipelines: stages one after another, with typed hand-overs, and which stage costs how much.

A stage is a callable or a Keras model. `attribution` puts the truth in place of a stage's output.

May use: `inference`, `models`, `scoring`. Nothing in a folder is imported or unpickled.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "types": ["ArrayType", "ImageType", "LabelType"],
        "stages": ["Stage"],
        "pipeline": ["Pipeline", "Trace"],
        "files": ["load_pipeline", "save_pipeline"],
        "attribution": ["attribute"],
        "attribution_report": ["Attribution"],
    },
)
