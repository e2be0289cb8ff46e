"""What every command shares: the settings, and one way to answer in text or JSON."""

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click
import orjson

from adserver.cli.root import JSON_KEY
from adserver.domain.errors import InvalidInput, Problem
from adserver.settings import Settings, load

_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


class Session:
    """One invocation of a command."""

    def __init__(self, config: Path | None, data: Path | None, *, as_json: bool) -> None:
        self.as_json = as_json
        self._config = config
        self._data = data
        self.settings = self.settings_with()

    def settings_with(self, **flags: object) -> Settings:
        """Return the settings with the command's own options on top; None means not given."""
        return load(self._config, flags={"data": self._data, **flags})

    def need_data(self) -> Path:
        """Return the data directory; one that is not there is not made by who only reads."""
        data = self.settings.data
        if not data.is_dir():
            problem = Problem(str(data), "is not there; name another with --data")
            raise InvalidInput("there is no data directory", [problem])
        return data

    def show(self, data: Mapping[str, Any], text: str) -> None:
        """Print the result: the data with ``--json``, else the text."""
        # JSON has no NaN: what there is none of is null, as in the server's answers.
        print(orjson.dumps(data, option=_OPTIONS).decode() if self.as_json else text)

    def say(self, text: str) -> None:
        """Tell the reader what is going on, on stderr; nothing with ``--json``."""
        if not self.as_json:
            print(text, file=sys.stderr, flush=True)


def pass_session(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data``, ``--config`` and ``--json``, and hand the command a ``Session`` first."""

    @click.option("--data", type=click.Path(path_type=Path), help="Data directory.")
    @click.option("--config", type=click.Path(path_type=Path), help="Settings file (TOML).")
    @click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
    @click.pass_context
    @wraps(function)
    def run(
        ctx: click.Context,
        /,
        data: Path | None,
        config: Path | None,
        *,
        as_json: bool,
        **arguments: Any,
    ) -> Any:
        ctx.meta[JSON_KEY] = as_json
        return function(Session(config, data, as_json=as_json), **arguments)

    return run
