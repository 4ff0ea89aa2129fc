"""Forked workers: calls of one function, spread over processes that share all that was opened before they began."""

import contextlib
import ctypes
import dataclasses
import gc
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from instruct_jax.errors import InputError

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl


def all_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def untold(message: Any) -> None:
    """Hears what a function tells, and does nothing."""
    del message


class Crew:
    """Processes that answer calls of one function; a crew of one is this process itself.

    They are forked on entry, so the function may hold what cannot be pickled: open files, closures, registered tasks. Its
    argument and its result are pickled. They end with the block, and with the process that forked them, however it ends.

    Args:
      function: (item, tell) -> result; `tell(message)` reaches the caller of `results` while the call goes on.
      workers: how many processes.

    >>> with Crew(lambda item, tell: item * item, workers=1) as crew:
    ...     list(crew.results([2, 3], tell=print))
    [(2, 4), (3, 9)]
    """

    def __init__(self, function: Callable[[Any, Callable[[Any], None]], Any], workers: int):
        self._function, self._workers = function, workers
        self._members: list[_Member] = []

    def __enter__(self) -> Self:
        # What is there already will not become garbage meanwhile: passing over it is much of the work on short texts, and
        # writes to every page that the workers share.
        gc.freeze()
        if self._workers > 1:
            with _quiet_fork():
                self._members = [_started(self._function) for _ in range(self._workers)]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for member in self._members:
            member.connection.close()
            member.process.kill()
        for member in self._members:
            member.process.join()
        self._members = []
        gc.unfreeze()

    def results(self, items: Iterable[Any], tell: Callable[[Any], None]) -> Iterator[tuple[Any, Any]]:
        """Each item with its result, as they are done.

        Args:
          items: taken one by one as workers are free.
          tell: hears what the function tells.

        Raises:
          InputError: a worker was killed.
          Exception: what the function raised.
        """
        if not self._members:
            for item in items:
                yield item, self._function(item, tell)
            return
        waiting, busy = iter(items), {}
        for member in self._members:
            _give(member, waiting, busy)
        while busy:
            for connection in multiprocessing.connection.wait(list(busy)):
                member, item = busy[connection]
                kind, content = _heard(member)
                if kind == "told":
                    tell(content)
                    continue
                del busy[connection]
                if kind == "failed":
                    raise content
                _give(member, waiting, busy)
                yield item, content


@dataclasses.dataclass(frozen=True)
class _Member:
    process: multiprocessing.process.BaseProcess
    connection: multiprocessing.connection.Connection


def _give(member: _Member, waiting: Iterator[Any], busy: dict[Any, tuple[_Member, Any]]) -> None:
    """Hand the next item, if there is one, to a member that is free."""
    for item in waiting:
        with contextlib.suppress(BrokenPipeError):  # it was killed while it was idle: what it says next is its end
            member.connection.send(item)
        busy[member.connection] = member, item
        return


def _heard(member: _Member) -> tuple[str, Any]:
    try:
        return member.connection.recv()
    except (EOFError, ConnectionResetError):
        member.process.join()
        code = member.process.exitcode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        raise InputError(
            f"a worker process {how}, perhaps for want of memory; run the same command again, with fewer workers: "
            "what is finished is kept"
        ) from None


def _started(function: Callable[..., Any]) -> _Member:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(function, theirs, os.getpid()), daemon=True)
    process.start()
    theirs.close()  # so that a worker's end is heard as the end of its pipe
    return _Member(process, ours)


def _serve(function: Callable[..., Any], connection: multiprocessing.connection.Connection, parent: int) -> None:
    """A worker's life: answer until there is nobody to ask."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends its workers
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        try:
            answer = ("done", function(item, lambda message: connection.send(("told", message))))
        except Exception as error:
            answer = ("failed", _portable(error))
        connection.send(answer)


def _portable(error: Exception) -> Exception:
    """The error, if it survives being pickled with all it says; else its traceback."""
    try:
        if str(pickle.loads(pickle.dumps(error))) == str(error) and isinstance(error, InputError):
            return error
    except Exception:  # of whatever kind its own pickling raises
        return RuntimeError("".join(traceback.format_exception(error)))
    return RuntimeError("".join(traceback.format_exception(error)))


@contextlib.contextmanager
def _quiet_fork() -> Iterator[None]:
    """Fork without the warnings that libraries with threads of their own give.

    A child inherits their locks and none of their threads. Here it takes up none of them: it reads files, tokenises and
    writes. Rust's tokenizers are told to use one thread, which many processes want anyhow.
    """
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
