"""What the learner keeps between two runs, in the data directory under ``learner/``.

``state.npz`` is replaced whole. ``moves.npz`` holds the profile moves of the run the state belongs
to, from before the state is replaced until the moves are made: whatever a crash interrupts, the
next run makes them, and the viewer store remembers whom this run has moved already.

Viewers stand here by pseudonym alone, as in the journal: deleting a record deletes the key that
tells whose it is, and the next run drops the row.
"""

import fcntl
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.catalogue.files import write_durably
from adserver.domain.errors import Broken, InvalidInput, Problem
from adserver.domain.model import Calibrator, Model
from adserver.journal.outcomes import Place
from adserver.learn.audience import NOBODY, PSEUDONYM_BYTES, Audience, Move
from adserver.learn.coordinates import HEADS
from adserver.learn.judge import N_COLUMNS, Judge
from adserver.learn.online import RECENT, Learner, Pace
from adserver.runtime.durable import sync_directory

FORMAT: Final = 2
"""2: what the judge remembers has one column more."""
_STATE: Final = "state.npz"
_MOVES: Final = "moves.npz"


class Progress(Struct, frozen=True, kw_only=True):
    """How far the learner has come, beside its numbers."""

    base: str
    """Version of the model it began from."""
    run: int = 0
    """Counts what was saved; names the moves."""
    place: Place | None = None
    """Where in the journal it goes on."""
    until_ms: int = 0
    """Time of the newest decision it has learnt from."""
    published: int = 0
    """Outcomes that the last model it published had learnt."""
    known_viewers: bool = True
    """False after a state was lost: the records' weights then hold what is learnt again."""
    unmoved_until_ms: int = 0
    """After a state was lost: decisions until then have moved their viewers' profiles before."""


class _Head(Struct, frozen=True, kw_only=True):
    """The document inside the state."""

    format: int
    progress: Progress
    pace: Pace
    learnt: int
    calibrators: tuple[Calibrator, Calibrator]
    names: list[str]
    judged: str


class State:
    """The directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other learner out."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                problem = Problem(str(self._directory), "another adserver learn is at work here")
                raise InvalidInput("cannot learn twice at once", [problem]) from None
            yield

    def progress(self) -> Progress | None:
        """Return how far the learner has come; None before its first run."""
        arrays = self._read(_STATE)
        return None if arrays is None else self._head(arrays).progress

    def load(self, base: Model) -> tuple[Learner, Judge]:
        """Return the learner as it was saved; there must be one.

        Parameters
        ----------
        base
            The model it began from.
        """
        arrays = self._read(_STATE)
        if arrays is None:
            raise Broken(f"{self._directory / _STATE} is gone; learn again")
        head = self._head(arrays)
        learner = Learner(base, head.pace)
        learner.table.restore(
            head.names, _pseudonyms(arrays["viewers"]), arrays["weights"], arrays["parent"]
        )
        learner.learnt = head.learnt
        learner.calibrators = head.calibrators
        learner.recent[:, : arrays["recent"].shape[1]] = arrays["recent"]
        return learner, Judge(head.judged, arrays["judged"])

    def save(
        self, progress: Progress, learner: Learner, judge: Judge, moves: Sequence[Move]
    ) -> None:
        """Replace the state, and leave the moves to be made."""
        self._write(_MOVES, _packed_moves(progress.run, moves))
        names, viewers, weights, parent = learner.table.learnt()
        head = _Head(
            format=FORMAT,
            progress=progress,
            pace=learner.pace,
            learnt=learner.learnt,
            calibrators=learner.calibrators,
            names=names,
            judged=judge.version,
        )
        self._write(
            _STATE,
            {
                "head": np.frombuffer(msgspec.json.encode(head), np.uint8),
                "viewers": np.frombuffer(b"".join(viewers), np.uint8),
                "weights": weights,
                "parent": parent,
                "recent": learner.recent[:, : min(learner.learnt, RECENT)],
                "judged": judge.seen,
            },
        )

    def moves(self, run: int, audience: Audience) -> list[Move]:
        """Return the moves of this run that may still have to be made, of who is still there."""
        try:
            arrays = self._read(_MOVES)
        except Broken:
            return []  # cut off before the state was replaced: its run never came to be
        if arrays is None or int(arrays["run"]) != run:
            return []
        owns = _pseudonyms(arrays["pseudonyms"])
        rows = audience.find(owns).tolist()
        told = zip(rows, owns, arrays["times"].tolist(), arrays["deltas"], strict=True)
        return [Move(audience.viewer_id(row), *move) for row, *move in told if row != NOBODY]

    def moved(self) -> None:
        """Forget the moves: they are made."""
        (self._directory / _MOVES).unlink(missing_ok=True)

    def _head(self, arrays: dict[str, NDArray[Any]]) -> _Head:
        path = self._directory / _STATE
        try:
            found = msgspec.json.decode(bytes(arrays["head"]))["format"]
            if found != FORMAT:
                unread = f"{path} has format {found}; this version reads {FORMAT}"
                raise Broken(f"{unread}; move it away to learn again from the whole journal")
            head = msgspec.json.decode(bytes(arrays["head"]), type=_Head)
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            raise _damaged(path) from error
        shapes = {
            "weights": (3, HEADS, len(head.names) + len(arrays["viewers"]) // PSEUDONYM_BYTES),
            "judged": (len(arrays["judged"]), N_COLUMNS),
        }
        if any(arrays[name].shape != shape for name, shape in shapes.items()):
            raise _damaged(path)
        return head

    def _read(self, name: str) -> dict[str, NDArray[Any]] | None:
        path = self._directory / name
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
                return {key: held[key] for key in held.files}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise _damaged(path) from error

    def _write(self, name: str, arrays: dict[str, Any]) -> None:
        data = io.BytesIO()
        np.savez(data, **arrays)
        staging = self._directory / f"{name}.staging"
        write_durably(staging, data.getvalue())
        staging.replace(self._directory / name)
        sync_directory(self._directory)


def _damaged(path: Path) -> Broken:
    return Broken(f"{path} is damaged; move it away to learn again from the whole journal")


def _pseudonyms(packed: NDArray[np.uint8]) -> list[bytes]:
    return [bytes(one) for one in packed.reshape(-1, PSEUDONYM_BYTES)]


def _packed_moves(run: int, moves: Sequence[Move]) -> dict[str, Any]:
    return {
        "run": np.int64(run),
        "pseudonyms": np.frombuffer(b"".join(move.pseudonym for move in moves), np.uint8),
        "times": np.array([move.time_ms for move in moves], np.int64),
        "deltas": np.stack([move.delta for move in moves]) if moves else np.zeros((0, 0)),
    }
