"""Make a name in a directory survive the loss of power."""

import os
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Return once every file made, linked or renamed in the directory is there for good."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
