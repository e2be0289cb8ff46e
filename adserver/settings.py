"""Settings: one frozen table, read once; file < environment < flags, each value with its origin."""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any

from adserver.domain.errors import InvalidInput, Problem

ENVIRONMENT_PREFIX = "ADSERVER_"
CONFIG_VARIABLE = "ADSERVER_CONFIG"
"""Names the TOML file when no ``--config`` does."""
LOG_LEVELS = ("critical", "error", "warning", "info", "debug")
_DATA_DEFAULT = Path("adserver-data")
_WORDS_TRUE = frozenset({"true", "1", "yes", "on"})
_WORDS_FALSE = frozenset({"false", "0", "no", "off"})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")  # noqa: TRY004  (one error type, worded as an expectation)
    return value


def _path(value: object) -> Path:
    if isinstance(value, Path) or (isinstance(value, str) and value):
        return Path(value).expanduser()
    raise ValueError("a path")


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in _WORDS_TRUE | _WORDS_FALSE:
        raise ValueError("true or false")
    return word in _WORDS_TRUE


def _whole(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        expected = f"a whole number from {low} to {high}"
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError(expected) from None
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise ValueError(expected)
        return number

    return parse


def _url(value: object) -> str:
    text = _text(value).rstrip("/")
    if text and not text.startswith(("http://", "https://")):
        raise ValueError("an http:// or https:// address")
    return text


def _log_level(value: object) -> str:
    if value not in LOG_LEVELS:
        raise ValueError("one of " + ", ".join(LOG_LEVELS))
    return str(value)


def _setting(default: Any, parse: Callable[[object], object], explanation: str) -> Any:
    return field(default=default, metadata={"parse": parse, "help": explanation})


@dataclass(frozen=True, slots=True)
class Settings:
    """The table: a name with its unit, a default, what it means."""

    host: str = _setting("127.0.0.1", _text, "Address to listen on.")
    port: int = _setting(8080, _whole(0, 65_535), "Port to listen on; 0 takes a free one.")
    workers: int = _setting(1, _whole(1, 256), "Worker processes, each with a socket of its own.")
    data: Path = _setting(_DATA_DEFAULT, _path, "The data directory.")  # noqa: RUF009
    store: str = _setting("", _text, "Viewer store; empty is LMDB in the data directory.")
    public_url: str = _setting(
        "", _url, "Address players reach this server at; empty is http://host:port."
    )
    open_explain: bool = _setting(
        default=False, parse=_switch, explanation="Explain without a token; loopback only."
    )
    deadline_ms: int = _setting(
        10, _whole(1, 60_000), "Time for one decision, unless the request says otherwise."
    )
    body_bytes_max: int = _setting(65_536, _whole(64, 1 << 24), "Larger requests are refused.")
    openrtb_placement: str = _setting(
        "", _text, "Placement of a bid request whose tagid names none; empty makes no bid."
    )
    openrtb_margin_ms: int = _setting(
        10, _whole(0, 60_000), "Part of an exchange's tmax that is left to the network."
    )
    openrtb_nbr: bool = _setting(
        default=False, parse=_switch, explanation="Answer no bid with 200 and the reason, not 204."
    )
    decision_ttl_s: int = _setting(
        3600, _whole(1, 30 * 86_400), "How long a decision's beacons are accepted."
    )
    tcf_vendor_id: int = _setting(
        0,
        _whole(0, 65_535),
        "Our id in the IAB's global vendor list; 0 leaves vendor consent unchecked.",
    )
    log_level: str = _setting(
        "info", _log_level, "How much the server says: " + ", ".join(LOG_LEVELS)
    )
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    def origin(self, name: str) -> str:
        """Where a value came from: ``default``, the file, the environment variable or the flag."""
        return self.origins.get(name, "default")

    @property
    def base_url(self) -> str:
        """What tracking URLs begin with, the default filled in."""
        if self.public_url:
            return self.public_url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


TABLE: tuple[Field[Any], ...] = tuple(row for row in fields(Settings) if row.name != "origins")
"""The rows of the table; ``adserver config`` prints them."""
NAMES = tuple(row.name for row in TABLE)


def load(
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """Read all three sources once.

    Parameters
    ----------
    config
        TOML file; ``ADSERVER_CONFIG`` when None.
    environment
        The process's when None.
    flags
        Values of command-line options by setting name; None means not given.

    Raises
    ------
    InvalidInput
        With every wrong, unknown or contradictory value at once.
    """
    environment = os.environ if environment is None else environment
    if config is None and environment.get(CONFIG_VARIABLE):
        config = Path(environment[CONFIG_VARIABLE])
    given: list[tuple[str, str, object]] = []
    if config is not None:
        given += [(name, f"file {config}", value) for name, value in _read(config).items()]
    for variable, value in environment.items():
        if variable.startswith(ENVIRONMENT_PREFIX) and variable != CONFIG_VARIABLE:
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            given.append((name, f"environment {variable}", value))
    for name, flag in (flags or {}).items():
        if flag is not None:
            given.append((name, f"flag --{name.replace('_', '-')}", flag))
    return _settle(given)


def _read(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # TOML and UTF-8 errors are ValueErrors
        raise InvalidInput("settings", [Problem(str(config), str(error))]) from error


def _settle(given: list[tuple[str, str, object]]) -> Settings:
    """Later entries win; every wrong one is reported, also where a later one would have won."""
    parsers = {row.name: row.metadata["parse"] for row in TABLE}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems: list[Problem] = []
    for name, origin, value in given:
        if name not in parsers:
            known = ", ".join(NAMES)
            problems.append(Problem(origin, f"unknown setting {name!r}; known: {known}"))
            continue
        try:
            values[name] = parsers[name](value)
            origins[name] = origin
        except ValueError as error:
            problems.append(Problem(origin, f"{name} is {value!r}, expected {error}"))
    settings = Settings(**values, origins=MappingProxyType(origins))
    if settings.open_explain and not settings.loopback:
        origin = settings.origin("open_explain")
        problems.append(
            Problem(origin, f"open_explain needs a loopback host, and host is {settings.host!r}")
        )
    if problems:
        raise InvalidInput("settings", problems)
    return settings
