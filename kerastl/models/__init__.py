"""Models: backbones, the cut, the `trainable` policy, the factories, and the file that keeps them.

A model is one flat `keras.Model`: raw uint8 RGB in, one logits tensor for each task out. `graph`
reads its nodes, `cuts` finds the layers through which a single tensor carries everything, and
`trainable` chooses among them. `spec` is what a model knows of its tasks.

May use: Keras, `data`, `scoring`, `losses`, `layers`, `metrics`.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "backbones": ["list_backbones"],
        "cuts": ["Cut", "Split", "cut_points", "split", "stages"],
        "trainable": ["freeze_plan", "set_trainable"],
        "factories": [
            "classifier",
            "create_model",
            "multilabel_classifier",
            "multitask_classifier",
        ],
        "saving": ["load_model", "save_model"],
        "spec": ["spec_of"],
    },
)
