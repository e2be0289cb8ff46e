"""Progress on stderr, for whatever takes longer than a second."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from adserver.cli.session import Session


@contextmanager
def stages(session: Session) -> Iterator[Callable[[str, float], None]]:
    """Yield a function to tell a stage and its share done; a new stage ends the last one."""
    bar = Progress(
        TextColumn("{task.description:36}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=session.as_json,
    )
    tasks: dict[str, TaskID] = {}

    def tell(stage: str, share: float) -> None:
        if stage not in tasks:
            for former in tasks.values():
                bar.update(former, completed=1.0)
                bar.stop_task(former)
            tasks[stage] = bar.add_task(stage, total=1.0)
        bar.update(tasks[stage], completed=share)

    with bar:
        yield tell
