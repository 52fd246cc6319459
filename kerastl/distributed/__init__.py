"""Work on Ray: a connection to a cluster, blocks handed out to it, and a pool for long jobs.

The same calls work in this process where no address is given. A block or a job whose process died
is done again; what Ray says is turned into kerastl's own words.

May use: Ray where it is installed, `errors`. Knows nothing of pictures or networks.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "blocks": ["run_blocks"],
        "pool": ["open_pool"],
    },
)
