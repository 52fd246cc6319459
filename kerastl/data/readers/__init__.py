"""Readers: from what people have, folders, tables and data sets, to a `Manifest`.

Every fault of an input is found before anything is raised, each with its path and line. To read a
new table format: a module here that makes a frame of it, checked by `table` and put together by
`assembly`; its name in the list below and in `kerastl/__init__.py`; a word in
`cli.opening.open_data`.

May use: `data`, pandas. Knows no Keras; only `tfds` loads TensorFlow, when it is called.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "tabular": ["read_csv", "read_folder", "read_frame"],
        "solar_cells": ["read_solar_cells"],
        "tfds": ["read_tfds"],
    },
)
