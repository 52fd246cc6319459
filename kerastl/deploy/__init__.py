"""Deploy: a file for each format, each one run and held to its contract before it is kept.

`formats` lists the formats, `writers` writes them (`tflite`, `onnx`), `contract` is what a file has
to hold, `exporting` puts it together, and `checking` does the same for a file from elsewhere.
`tflite_metadata` writes the labels into a `.tflite` file. `preview/` shows one on a page.

May use: the converters, `inference`, `models`, `scoring`, `data`.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "contract": ["RefusedExport"],
        "exporting": ["export"],
        "checking": ["check_file"],
    },
)
