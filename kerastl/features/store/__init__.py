"""The features store: shards on disk, each whole and checked, found by the content of a picture.

A folder holds one folder for each prefix under one set of options, and in it shards. Two processes
that do the same work write the same files.

May use: numpy, `files`, `data`. Knows no Keras: a cache is listed, verified and pruned without.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "upkeep": ["list_store", "prune_store", "verify_store"],
    },
)
