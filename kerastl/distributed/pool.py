"""Jobs handed out one at a time, each when there is room: in this process, or by Ray."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from kerastl.distributed.blocks import TRIES, Reply, reply_of
from kerastl.distributed.ray import answer, connection, shares, threads

Job = TypeVar("Job")
Result = TypeVar("Result")

CALLS = 20
"""Jobs that a process of Ray's does before a new one takes its place: Keras leaks memory."""

GRACE = 10.0
"""Seconds that jobs have to end when they are called off."""


class WorkerDied(RuntimeError):
    """A job whose process ended each time that it was begun.

    Args:
        job: The job.
        error: What Ray said the last time.
    """

    def __init__(self, job: Any, error: Exception):
        super().__init__(
            f"{job!r} was begun {TRIES} times, and each time its process ended "
            f"({type(error).__name__}): killed for want of memory, or a crash in a library. Give "
            "the machines more memory, or try with one worker."
        )


@dataclass(frozen=True)
class Finished:
    """A job that is finished, one way or the other.

    Attributes:
        job: As it was submitted.
        result: What the worker returned; None where it raised.
        error: What it raised. From another process an InputError comes as it was, any
            other error as a RuntimeError with its text, caused by one with its trace.
    """

    job: Any
    result: Any = None
    error: BaseException | None = None


class Pool(Protocol):
    """Workers that jobs are handed to; `open_pool` makes one."""

    @property
    def free(self) -> int:
        """Jobs that would begin at once if they were submitted now."""

    def submit(self, job: Any) -> None:
        """Hand out a job."""

    def next(self) -> Finished:
        """Wait until a job is finished, however long that takes, and return it.

        Raises:
            IndexError: Where no job is under way.
            RuntimeError: Where Ray itself fails, or the connection to it is lost.
        """


@contextlib.contextmanager
def open_pool(
    make_worker: Callable[[], Callable[[Job], Result]],
    *,
    workers: int | None = None,
    ray: str | None = None,
) -> Iterator[Pool]:
    """Workers for jobs that are not all known beforehand.

    Each job's result comes once. A job whose process or machine dies is done again, so
    that it may be worked on twice; one that raises an error is not. When the block is
    left, jobs that still run are called off, and their processes ended.

    On Ray a process keeps its worker from job to job, and ends after 20 jobs (after each
    where there are GPUs, for TensorFlow does not let go of one). Where workers share a
    machine, TensorFlow gets as many threads in each as its share of the cores. Through
    "ray://" the pool works as through any other address.

    kerastl has to be installed on every node. Jobs and results travel in Ray's own
    serialisation, which runs code: connect only to a cluster that you trust. A connection
    to Ray that is open already is used, whatever the address, and left open.

    Args:
        make_worker: Makes what works on a job; called once in each process, and sent once.
        workers: Jobs side by side. None: in this process one; on a cluster one on each
            node, as nodes come and go, or one for each GPU. More than one without `ray`
            are processes of Ray's on this machine.
        ray: The cluster's address, as in `kerastl.distributed.blocks.run_blocks`.

    Yields:
        The `Pool`. In this process, `next` does the work.

    Raises:
        InputError: Where Ray is not installed or nobody answers at the address.

    Example:
        >>> with open_pool(lambda: sum) as pool:
        ...     pool.submit([1, 2])
        ...     pool.next()
        Finished(job=[1, 2], result=3, error=None)
    """
    if ray is None and (workers or 1) == 1:
        yield _Here(make_worker)
        return
    with connection(ray or "local") as client:
        there = _OnRay(make_worker, workers or None, client)
        try:
            yield there
        finally:
            there.close()


class _Here:
    """One worker, in this process."""

    def __init__(self, make_worker: Callable[[], Callable]):
        self._make, self._work, self._waiting = make_worker, None, deque()

    @property
    def free(self) -> int:
        return 0 if self._waiting else 1

    def submit(self, job: Any) -> None:
        self._waiting.append(job)

    def next(self) -> Finished:
        job = self._waiting.popleft()
        try:
            self._work = self._work or self._make()
            return Finished(job, self._work(job))
        except Exception as error:
            return Finished(job, error=error)


@dataclass(frozen=True)
class _Sent:
    """A job on its way, and the times that it was sent."""

    job: Any
    times: int = 1


@dataclass
class _OnRay:
    """Workers in processes of Ray's, each job a task."""

    make_worker: Callable[[], Callable]
    workers: int | None
    client: bool
    _running: dict[Any, _Sent] = field(default_factory=dict)
    _lost: bool = False

    def __post_init__(self):
        import ray

        self._name = uuid.uuid4().hex
        self._shelf = [ray.put(self.make_worker)]
        _, needs = shares(ray.nodes(), self.workers)
        calls = 1 if "num_gpus" in needs else CALLS
        # Ray would send a job whose process was ended for want of memory for ever: we count.
        self._task = ray.remote(max_retries=0, max_calls=calls)(_work_on)

    @property
    def free(self) -> int:
        with _connected():
            return max(0, shares(self._nodes(), self.workers)[0] - len(self._running))

    def submit(self, job: Any) -> None:
        self._send(_Sent(job))

    def next(self) -> Finished:
        import ray

        while self._running:
            with _connected():
                ref = self._first()
                sent = self._running.pop(ref)
                try:
                    reply: Reply = ray.get(ref)
                except _deaths() as error:
                    if sent.times == TRIES:
                        return Finished(sent.job, error=WorkerDied(sent.job, error))
                    self._send(_Sent(sent.job, sent.times + 1))
                    continue
            return Finished(sent.job, reply.value, reply.exception())
        raise IndexError("No job is under way.")

    def _first(self) -> Any:
        """The first task to finish."""
        import ray

        running = list(self._running)
        return self._asked(lambda: ray.wait(running)[0][0])

    def _nodes(self) -> Any:
        import ray

        return self._asked(ray.nodes)

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask() if self.client else answer(ask)
        except ConnectionError:
            self._lost = True
            raise

    def _send(self, sent: _Sent) -> None:
        """Ask for what a worker gets in the cluster as it is now: nodes may have died."""

        with _connected():
            nodes = self._nodes()
            _, needs = shares(nodes, self.workers)
            task = self._task.options(scheduling_strategy="SPREAD", **needs)
            ref = task.remote(self._name, self._shelf, threads(nodes, self.workers), sent.job)
        self._running[ref] = sent

    def close(self) -> None:
        import ray

        refs, self._running = list(self._running), {}
        # A lost connection has ended the jobs already; Ray would wait for it, or open a new one.
        if self._lost or not ray.is_initialized():
            return
        with contextlib.suppress(ConnectionError, ray.exceptions.RayError):
            for ref in refs:
                ray.cancel(ref, force=True)
            if refs:
                ray.wait(refs, num_returns=len(refs), timeout=GRACE)


_made: dict[str, Callable] = {}


def _work_on(name: str, shelf: Sequence[Any], limit: int | None, job: Any) -> Reply:
    """Work on a job in a process of Ray's, with the worker that was made there before."""

    def work(job: Any) -> Any:
        if name not in _made:
            _made.clear()
            _made[name] = _made_worker(shelf, limit)
        return _made[name](job)

    return reply_of(work, job)


def _made_worker(shelf: Sequence[Any], limit: int | None) -> Callable:
    """What the pool's `make_worker` makes; it lies in a list so that Ray leaves it unread."""
    import ray

    if limit:
        # TensorFlow reads these before its first operation.
        counts = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(limit))
        os.environ.update(counts, TF_FORCE_GPU_ALLOW_GROWTH="true")
    [make_worker] = ray.get(list(shelf))
    return make_worker()


@contextlib.contextmanager
def _connected() -> Iterator[None]:
    try:
        yield
    except ConnectionError as error:
        raise RuntimeError(
            f"The connection to the Ray cluster was lost ({error}). Jobs that were finished "
            "stay so: start the same again."
        ) from error


def _deaths() -> tuple[type[Exception], ...]:
    """What Ray raises for a task whose process or machine is gone."""
    from ray import exceptions as ray

    return (ray.WorkerCrashedError, ray.NodeDiedError, ray.OutOfMemoryError, ray.ObjectLostError)
