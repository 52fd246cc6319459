"""The process's stderr, kept clear of what C++ libraries write there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet(*, tell: bool = False) -> Iterator[None]:
    """Keep notes that no logging level turns off away from the terminal.

    TensorFlow's start-up, its converter and the interpreter write them to the
    file descriptor itself. Errors come as exceptions and are not affected.

    Args:
        tell: Show the notes after all when the block fails.
    """
    try:
        kept = os.dup(2)
    except OSError:  # a service may have no stderr at all
        yield
        return
    with tempfile.TemporaryFile() as notes:
        try:
            os.dup2(notes.fileno(), 2)
            yield
        except BaseException:
            if tell:
                notes.seek(0)
                os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
