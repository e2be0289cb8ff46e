"""Processes of a test's own, which share nothing with it but files.

They are forked from one that has loaded what they need and opened nothing: an interpreter that
starts afresh loads the kernels for a second before it does anything.
"""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any, Final, NamedTuple

APART: Final = multiprocessing.get_context("forkserver")
APART.set_forkserver_preload(["tests.budget.hammer", "tests.viewer.racer", "adserver.viewer.open"])
END_S_MAX: Final = 60.0


class Ended(NamedTuple):
    """What became of a process."""

    answer: Any
    """What its task returned; nothing if it died before."""
    exit_code: int | None
    """Less than zero for the signal that killed it."""


def at_once(*tasks: tuple[Callable[..., Any], tuple[Any, ...]]) -> list[Ended]:
    """Run each task in a process of its own, all released together; wait for all of them."""
    gate = APART.Barrier(len(tasks))
    started = []
    for task, arguments in tasks:
        receiver, sender = APART.Pipe(duplex=False)
        process = APART.Process(target=_answer, args=(sender, gate, task, arguments), daemon=True)
        process.start()
        sender.close()
        started.append((process, receiver))
    return [_end(process, receiver) for process, receiver in started]


def _answer(
    sender: Connection, gate: Barrier, task: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    gate.wait(END_S_MAX)
    sender.send(task(*arguments))


def _end(process: multiprocessing.process.BaseProcess, receiver: Connection) -> Ended:
    try:
        answer = receiver.recv() if receiver.poll(END_S_MAX) else None
    except EOFError:
        answer = None
    process.join(END_S_MAX)
    ended = Ended(answer, process.exitcode)
    process.kill()
    process.join()
    process.close()
    receiver.close()
    return ended
