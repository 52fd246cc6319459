"""Features: what a frozen prefix makes of each picture, computed once and found again by content.

`engines` chooses what runs the prefix, by agreement with Keras and never by time. `extraction`
makes features in batches, `blocks` in other processes; `store/` keeps them on disk.

May use: `models`, `data`, `distributed`, OpenVINO where it is installed.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "extract": ["extract_features"],
    },
)
