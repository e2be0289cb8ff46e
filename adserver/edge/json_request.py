"""The JSON ad request: bytes → ``AdRequest`` within limits, or the field that is wrong."""

import json
from typing import Final, NoReturn, get_args

import msgspec

from adserver.domain.errors import AdserverError, InvalidInput, Problem
from adserver.domain.request import (
    NO_CONSENT_SIGNALS,
    NO_TERMS,
    AdRequest,
    Consent,
    DeviceType,
    ForeignId,
    Intent,
)

_DECODE: Final = msgspec.json.Decoder(AdRequest).decode
_ENUMS: Final[dict[str, tuple[str, ...]]] = {
    "$.device.type": get_args(DeviceType),
    "$.moment.intent": get_args(Intent),
}
_SIGNAL_NAMES: Final = frozenset({"consent", *Consent.__struct_fields__})
_SIGNALS: Final = tuple(f'"{name}"'.encode() for name in sorted(_SIGNAL_NAMES))
ID_EXPECTATION: Final = "Expected 1 to 128 printable ASCII characters"


class BadJson(AdserverError):
    """The body is not a JSON document, or nested beyond reason."""


def parse(body: bytes) -> AdRequest:
    """Decode one ad request.

    Raises
    ------
    BadJson
        Not JSON, not UTF-8, trailing bytes, nested too deeply.
    InvalidInput
        JSON, but a field has the wrong type or is out of its limits.
    """
    try:
        request = _DECODE(body)
        if not body.isascii():
            body.decode()  # the decoder skips unknown fields without looking at their bytes
    except msgspec.ValidationError as error:
        request = _with_whole_numbers(body, error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _refuse(body, str(error))
    viewer, placement = request.viewer, request.placement
    if not (placement.isascii() and placement.isprintable()):  # ``is_id``, without the call
        raise InvalidInput("ad request", [Problem("$.placement", ID_EXPECTATION)])
    if viewer.id is not None and not is_id(viewer.id):
        raise InvalidInput("ad request", [Problem("$.viewer.id", ID_EXPECTATION)])
    if viewer.ids:
        _check_foreign(viewer.ids)
    if request.consent is not NO_CONSENT_SIGNALS:
        _check_said_once(body)
    if request.terms is not NO_TERMS:
        # Whether there is an auction, and whether it is a test, the dialect of auctions says.
        terms = msgspec.structs.replace(request.terms, auction=0, test=False)
        request = msgspec.structs.replace(request, terms=terms)
    return request


def is_id(text: str) -> bool:
    """Whether the characters may stand in an id; the decoder has checked how many there are."""
    return text.isascii() and text.isprintable()


def _check_foreign(ids: tuple[ForeignId, ...]) -> None:
    for index, foreign in enumerate(ids):
        for name, text in (("source", foreign.source), ("id", foreign.id)):
            if not is_id(text):
                problem = Problem(f"$.viewer.ids[{index}].{name}", ID_EXPECTATION)
                raise InvalidInput("ad request", [problem])


def _with_whole_numbers(body: bytes, refusal: msgspec.ValidationError) -> AdRequest:
    """Decode once more with 640.0 as 640: in JSON they are the same number, to the decoder not."""
    if "got `float`" not in str(refusal):
        raise _invalid(str(refusal)) from None
    try:
        return msgspec.convert(json.loads(body, parse_float=_number), AdRequest)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (ValueError, RecursionError):
        raise _invalid(str(refusal)) from None


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _check_said_once(body: bytes) -> None:
    """Refuse consent that is said twice: the decoder takes the last, and the first may forbid."""
    if b"\\u" not in body and all(body.count(name) <= 1 for name in _SIGNALS):
        return
    twice: list[str] = []

    def note(pairs: list[tuple[str, object]]) -> None:
        names = [name for name, _ in pairs if name in _SIGNAL_NAMES]
        twice.extend(name for name in names if names.count(name) > 1)

    try:
        json.loads(body, object_pairs_hook=note, parse_int=str)
    except RecursionError:
        raise BadJson("nested too deeply to tell whether consent is said once") from None
    if twice:
        problem = Problem("$.consent", f"Expected `{twice[0]}` once")
        raise InvalidInput("ad request", [problem])


def _invalid(message: str) -> InvalidInput:
    """Take the decoder's sentence apart: ``Expected `int`, got `str` - at `$.path```."""
    expectation, _, path = message.partition(" - at `")
    path = path.rstrip("`") or "$"
    if path in _ENUMS:
        expectation += ", expected one of " + ", ".join(_ENUMS[path])
    return InvalidInput("ad request", [Problem(path, expectation)])


def _refuse(body: bytes, reason: str) -> NoReturn:
    """Not JSON; but say what spoils it, where the decoder does not or only a number is wrong."""
    not_a_number = object()
    try:
        document = json.loads(body, parse_constant=lambda _: not_a_number)
        path = _find(document, not_a_number, "$")
        if path is None:
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadJson("A string holds half of a surrogate pair") from None
    except (ValueError, RecursionError):
        path = None
    if path is None:
        raise BadJson(reason) from None
    raise InvalidInput("ad request", [Problem(path, "Expected a finite number")]) from None


def _find(node: object, wanted: object, path: str) -> str | None:
    if node is wanted:
        return path
    children: list[tuple[str, object]] = []
    if isinstance(node, dict):
        children = [(f"{path}.{name}", child) for name, child in node.items()]
    elif isinstance(node, list):
        children = [(f"{path}[{index}]", child) for index, child in enumerate(node)]
    found = (_find(child, wanted, where) for where, child in children)
    return next((where for where in found if where is not None), None)
