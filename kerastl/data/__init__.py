"""The data: tasks, the manifest of pictures and labels, and whatever divides or counts them.

A `Task` is a name, classes and a kind. A `Manifest` is one frame of pictures, splits and label
codes, with the tasks that explain it; a label is known, unannotated (blank) or uncertain ("?").
`readers/` makes manifests of folders and tables. Pictures are decoded here into uint8 arrays.

May use: numpy, pandas, Pillow, `errors`, `files`. Knows no Keras.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "tasks": ["UNCERTAIN", "UNKNOWN", "Task"],
        "manifest": ["Manifest"],
        "batches": ["check_pictures"],
        "labels": ["LabelReport", "label_report", "positive_weights"],
    },
)
