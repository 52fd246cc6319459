"""Work in blocks: a plain loop here, or the same work on the machines of a Ray cluster."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from kerastl.distributed.ray import connection, shares, silence
from kerastl.errors import InputError

Block = TypeVar("Block")
Result = TypeVar("Result")

TRIES = 5
"""Times that a block is begun on a cluster at most."""


def run_blocks(
    make_worker: Callable[[], Callable[[Block], Result]],
    blocks: Sequence[Block],
    *,
    ray: str | None = None,
) -> Iterator[Result]:
    """Work on blocks one after the other here, or side by side on a Ray cluster.

    On a cluster one worker runs on each node, for TensorFlow takes all of a node's
    cores; where there are GPUs, one for each GPU. A block whose node died is done again
    on another one, so that it may be worked on twice; its result comes once.

    kerastl has to be installed on every node. Blocks and results travel in Ray's own
    serialisation, which runs code: connect only to a cluster that you trust. A connection
    to Ray that is open already is used, whatever the address, and left open.

    Args:
        make_worker: Makes what works on a block; called once in each process. It, the
            blocks and the results have to be such that Ray can send them.
        blocks: What there is to do.
        ray: The cluster's address: "auto" (the one this machine belongs to), "local"
            (started on this machine for as long as the work takes), "HOST:PORT" or
            "ray://HOST:PORT". None works in this process.

    Returns:
        The results: in this process in order, on a cluster as they are finished.

    Raises:
        InputError: Where Ray is not installed or nobody answers at the address; and
            as it was raised by a worker.
        RuntimeError: With the text and the trace of any other error in a worker on a
            cluster, and for a block whose process ended each time that it was begun. In
            this process the error itself comes.

    Example:
        >>> list(run_blocks(lambda: sum, [[1, 2], [3, 4]]))
        [3, 7]
    """
    if not blocks:
        return
    if ray is None:
        work = make_worker()
        yield from map(work, blocks)
        return
    with connection(ray) as client:
        for reply in (_relayed if client else _replies)(make_worker, blocks):
            yield reply.result()


@dataclass(frozen=True)
class _Sent:
    """A block on its way, in a class of its own so that Ray Data leaves it as it is."""

    number: int
    block: Any


@dataclass(frozen=True)
class Reply:
    """What came of some work: a value, so that Ray neither retries nor rewords an error."""

    value: Any = None
    error: str | None = None
    faults: tuple[str, ...] | None = None
    trace: str = ""

    def exception(self) -> Exception | None:
        """What was raised, an InputError as it was, else a RuntimeError with the trace."""
        if self.error is None or self.faults is not None:
            return None if self.error is None else InputError(self.error, self.faults)
        error = RuntimeError(self.error)
        error.__cause__ = _Trace(self.trace)
        return error

    def result(self) -> Any:
        """What was returned; else what was raised is raised here."""
        if (error := self.exception()) is not None:
            raise error
        return self.value


def reply_of(work: Callable[[Any], Any], block: Any) -> Reply:
    """Work, and say what came of it.

    Example:
        >>> reply_of(sum, [1, 2]).result()
        3
    """
    try:
        return Reply(work(block))
    except InputError as error:
        return Reply(error=error.message, faults=error.faults)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        return Reply(error=told, trace=traceback.format_exc())


class _Trace(Exception):
    """Where an error was raised in a worker."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class _Actor:
    """A worker in a process of Ray's."""

    def __init__(self, make_worker: Callable[[], Callable], starts: Any):
        self._make, self._work, self._starts = make_worker, None, starts

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        import ray

        [sent] = batch["block"]
        reply = np.empty(1, object)
        once_more = ray.get(self._starts.begin.remote(sent.number)) <= TRIES
        reply[0] = reply_of(self._worked, sent.block) if once_more else _fatal(sent.number)
        return {"reply": reply}

    def _worked(self, block: Any) -> Any:
        self._work = self._work or self._make()
        return self._work(block)


class _Starts:
    """How often each block was begun: Ray would begin one that ends its process for ever."""

    def __init__(self):
        self._counts: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        self._counts[number] += 1
        return self._counts[number]


def _fatal(number: int) -> Reply:
    return Reply(
        error=f"Block {number} was begun {TRIES} times, and each time its process ended: killed "
        "for want of memory, or a crash in a library. Give the machines more memory, or try the "
        "block without ray=."
    )


def _replies(make_worker: Callable, blocks: Sequence[Any]) -> Iterator[Reply]:
    import ray
    from ray.data import ActorPoolStrategy, from_items

    starts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Starts).remote()
    count, needs = shares(ray.nodes())
    # One block in flight for each: a second would wait behind it while another worker is idle.
    actors = ActorPoolStrategy(size=min(count, len(blocks)), max_tasks_in_flight_per_actor=1)
    with silence():
        rows = [{"block": _Sent(number, block)} for number, block in enumerate(blocks)]
        done = from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor, fn_constructor_args=(make_worker, starts), batch_size=1, batch_format="numpy",
            compute=actors, **needs,
        )  # fmt: skip
        for row in done.iter_rows():
            yield row["reply"]


class _Relay:
    """Draws replies within the cluster: Ray Data does not run in a client of one."""

    def __init__(self, make_worker: Callable, blocks: Sequence[Any]):
        self._replies = _replies(make_worker, blocks)

    def next(self) -> Reply | None:
        return next(self._replies, None)


def _relayed(make_worker: Callable, blocks: Sequence[Any]) -> Iterator[Reply]:
    import ray

    relay = ray.remote(num_cpus=0)(_Relay).remote(make_worker, blocks)
    try:
        while (reply := ray.get(relay.next.remote())) is not None:
            yield reply
    finally:
        ray.kill(relay)
