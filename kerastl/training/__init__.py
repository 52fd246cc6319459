"""Training: `fit`, and what it is fed with.

Heads first, then the tail, on features of the frozen prefix or on pictures (`sources`), in an order
that depends on seed and epoch alone (`sampling`). The state is on disk after every epoch
(`callbacks`), so that an interrupted fit goes on where it was.

May use: `features`, `models`, `data`, Keras and tf.data.
"""

from kerastl.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "fitting": ["fit"],
        "tfdata": ["image_dataset"],
    },
)
