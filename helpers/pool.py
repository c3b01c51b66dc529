"""Run several notebooks at the same time, each in a worker process; called through `make run`.

The workers are spoken to over pipes, which nobody else on the machine can reach.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from helpers import runs, sweeps

Call = tuple[Path, dict[str, Any], Path]  # notebook, parameters, folder for the result


def run_notebooks(
    calls: Sequence[Call], jobs: int, begin: Callable[[Path], None]
) -> Iterator[runs.RunResult]:
    """Run notebooks, `jobs` at a time, and yield what becomes of each as they end.

    The workers share the cores of this machine: that many threads BLAS may use in their kernels,
    unless the environment says how many. `begin` is called with each notebook when it begins.
    An interruption stops the workers, and they their kernels.
    """
    threads = max(1, sweeps.cores() // jobs)
    waiting, idle, working = deque(calls), [], {}
    try:
        while waiting or working:
            while waiting and len(working) < jobs:
                worker = idle.pop() if idle else _Worker(threads)
                working[worker.connection] = worker
                begin(waiting[0][0])
                worker.start(waiting.popleft())
            for connection in wait(list(working)):
                worker = working.pop(connection)
                yield worker.result()
                if worker.process.is_alive():
                    idle.append(worker)
    except BaseException:
        for worker in working.values():
            worker.process.terminate()
        raise
    finally:
        for worker in (*idle, *working.values()):
            worker.connection.close()
            worker.process.join()
        for worker in working.values():
            worker.discard_partial()


class _Worker:
    """A process that runs one notebook after the other, as they are given to it."""

    def __init__(self, threads: int) -> None:
        self.call: Call | None = None
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, threads), daemon=True)
        with _deaf_to_the_terminal():
            self.process.start()
        theirs.close()  # or we would not notice that the process has gone

    def start(self, call: Call) -> None:
        self.call = call
        with suppress(OSError):  # the process has gone, which result() reports
            self.connection.send(call)

    def result(self) -> runs.RunResult:
        """Return the result of the notebook given last, "failed" if the process died."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            name = self.call[0].stem
            reason = f"{name}: its worker process ended with exit code {self.process.exitcode}"
            return runs.RunResult(name, "failed", 0.0, error=reason)

    def discard_partial(self) -> None:
        """Remove what a process has left that could not clean up, as on Windows."""
        if self.call:
            path, _, folder = self.call
            (folder / path.name).with_suffix(".partial.ipynb").unlink(missing_ok=True)


@contextmanager
def _deaf_to_the_terminal() -> Iterator[None]:
    """Let a process that starts meanwhile ignore Ctrl-C until it has a handler of its own."""
    if threading.current_thread() is not threading.main_thread():  # which alone may set handlers
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(connection: Connection, threads: int) -> None:
    """Run the notebooks that come through `connection` until it is closed."""
    # A terminal interrupts us and the parent; the parent's word counts, and counts once.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(sweeps.thread_counts(threads, os.environ))
    try:
        while True:
            connection.send(runs.outcome(*connection.recv()))
    except (EOFError, KeyboardInterrupt):
        pass


def _interrupt(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # nbclient may wonder aloud about the kernel that goes; the parent says what there is to say.
    sys.stderr = io.StringIO()
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """Do not work on for a parent that was killed; kernels look after themselves."""
    multiprocessing.parent_process().join()
    os._exit(1)
