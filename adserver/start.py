"""Before there is a worker: the data directory, its parts, and the parent that starts workers.

Apart from the composition of a worker, because a parent that had to load its kernels would take
twice as long to start.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from adserver.catalogue.versions import Versions
from adserver.domain.errors import AdserverError, Broken
from adserver.edge import json_response, openrtb_response, vast_parts
from adserver.runtime.clock import Clock, SystemClock
from adserver.runtime.counters import create_counters
from adserver.runtime.durable import sync_directory
from adserver.serve import supervise
from adserver.settings import Settings
from adserver.viewer.open import open_store
from adserver.viewer.store import ViewerStore

FRAGMENTS: Final = {
    json_response.VARIANT_FRAGMENT: json_response.variant_fragment,
    vast_parts.VARIANT_FRAGMENT: vast_parts.variant_fragment,
    openrtb_response.VARIANT_FRAGMENT: openrtb_response.variant_fragment,
}
"""What a snapshot prepares per variant."""
MEDIA_FRAGMENTS: Final = {
    json_response.MEDIA_FRAGMENT: json_response.media_fragment,
    vast_parts.MEDIA_FRAGMENT: vast_parts.media_fragment,
}
"""What a snapshot prepares per media file."""
DATA_FORMAT: Final = 1
"""Version of the data directory's layout; what stands in it has versions of its own."""
WORKER_COMMAND: Final = (sys.executable, "-m", "adserver.app")

_log = logging.getLogger(__name__)


def open_data(settings: Settings) -> Path:
    """Return the data directory, made if it is not there; Broken for one of a later version."""
    data = settings.data
    data.mkdir(parents=True, exist_ok=True)
    path = data / "format.json"
    if not path.exists():
        path.write_bytes(msgspec.json.encode({"format": DATA_FORMAT}))
        sync_directory(data)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, int]).get("format")
    except msgspec.MsgspecError as error:
        raise Broken(f"{path} is damaged: {error}") from None
    if found != DATA_FORMAT:
        raise Broken(f"{data} has format {found}; this version reads {DATA_FORMAT}")
    return data


def open_versions(settings: Settings, clock: Clock | None = None) -> Versions:
    """Open the versions of catalogue, policy and model of the data directory."""
    return Versions(open_data(settings), clock or SystemClock(), FRAGMENTS, MEDIA_FRAGMENTS)


def open_viewers(settings: Settings) -> ViewerStore:
    """Open the viewer store; once per process, after any fork."""
    return open_store(settings.store, open_data(settings))


def journal_path(settings: Settings) -> Path:
    """Where the workers write their segments."""
    return settings.data / "journal"


def counters_path(settings: Settings) -> Path:
    """Where the workers of one start count together."""
    return settings.data / "run" / "counters"


def mend_snapshot(settings: Settings) -> None:
    """Compile the snapshot anew where it cannot be read: damaged, or of an earlier format.

    In the parent, before there are workers: what a snapshot is made of is kept, and compiling takes
    seconds that no event loop has.
    """
    versions = open_versions(settings)
    try:
        versions.load_snapshot()
    except AdserverError as error:
        _log.warning("compiling the snapshot anew: %s", error)
        versions.rebuild()


def serve(
    settings: Settings,
    on_ready: Callable[[Settings], None],
    command: Sequence[str] = WORKER_COMMAND,
) -> None:
    """Serve until told to stop, in as many processes as the settings say, each of this command."""
    mend_snapshot(settings)
    create_counters(counters_path(settings), settings.workers)
    supervise.supervise(settings, command, on_ready)
