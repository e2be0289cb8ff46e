"""Figures with their machine: printed, and kept as Markdown when asked for."""

from collections.abc import Iterable
from pathlib import Path

from bench.machine import Machine


class Report:
    """What one run found, section by section."""

    def __init__(self, machine: Machine, command: str) -> None:
        self._machine = machine
        self._command = command
        self._sections: list[tuple[str, list[str]]] = []
        print("\n".join(machine.lines()), flush=True)

    def add(self, title: str, lines: Iterable[str]) -> None:
        """Print a section, and keep it."""
        section = (title, list(lines))
        self._sections.append(section)
        print("\n".join(["", title, *section[1]]), flush=True)

    def markdown(self) -> str:
        """Return all of it, with the command that makes it again."""
        parts = [f"`{self._command}`", *self._machine.lines()]
        text = "\n\n".join(parts) + "\n"
        for title, lines in self._sections:
            text += "\n".join([f"\n**{title}**\n", "```text", *lines, "```\n"])
        return text

    def write(self, path: Path) -> None:
        """Keep the report."""
        path.write_text(self.markdown())
