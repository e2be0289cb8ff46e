"""``adserver decide``: one request without a server, or a past decision once more."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any

import click

from adserver.cli.session import Session, pass_session
from adserver.domain.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from adserver.domain.viewer import OpenRecord
    from adserver.edge.consent import Verdict
    from adserver.learn.replay import Compared
    from adserver.serve.account import Account

STORE_S = 5.0
"""Time for the viewer store: nobody waits for a player here."""


@click.command(
    help="""Decide one ad request without a server: a JSON file, or - for standard input, against
    the catalogue, policy, model and viewers of the data directory. Nothing is journaled or counted.

    With --replay, make a past decision once more from what the journal keeps, and say whether it
    comes out the same (exit code 0) or not (1).

    Example: adserver decide request.json --explain
    """,
    short_help="Decide one request without a server, or replay a past decision.",
)
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--replay", "past_id", metavar="ID", help="Decide this past decision again.")
@click.option("--explain", "whole", is_flag=True, help="Say everything that was weighed.")
@click.option(
    "--draw",
    "number",
    type=click.FloatRange(0.0, 1.0, max_open=True),
    help="Pick the arm by this number; by chance when absent.",
)
@pass_session
def command(
    session: Session,
    file: IO[bytes] | None,
    past_id: str | None,
    number: float | None,
    *,
    whole: bool,
) -> None:
    """Do the one or the other."""
    if (file is None) == (past_id is None):
        raise click.UsageError("Give a FILE with a request, or --replay ID.")
    if past_id is not None:
        if whole or number is not None:
            raise click.UsageError(
                "--replay takes its draw from the journal, and explain explains."
            )
        click.get_current_context().exit(0 if _replay(session, past_id) else 1)
    if file is not None:
        _decide(session, file.read(), number, whole=whole)


def _decide(session: Session, body: bytes, number: float | None, *, whole: bool) -> None:
    """Decide as the server would, of a request that came without headers."""
    import msgspec  # noqa: PLC0415

    from adserver.serve.words import tell  # noqa: PLC0415

    account = _account(session, body, number)
    data = msgspec.to_builtins(account)
    if not whole:
        del data["explanation"]
    session.show(data, tell(account, whole=whole))


def _account(session: Session, body: bytes, number: float | None) -> "Account":
    from adserver.decide.hold_out import held_out  # noqa: PLC0415
    from adserver.decide.pipeline import Decider  # noqa: PLC0415
    from adserver.decide.uncapped import Uncapped  # noqa: PLC0415
    from adserver.domain.reasons import Reason  # noqa: PLC0415
    from adserver.edge import consent, json_request  # noqa: PLC0415
    from adserver.edge.dosage_token import DosageTokens  # noqa: PLC0415
    from adserver.runtime.clock import SystemClock  # noqa: PLC0415
    from adserver.runtime.entropy import SystemEntropy, draw, new_decision_id  # noqa: PLC0415
    from adserver.runtime.keys import load_or_create  # noqa: PLC0415
    from adserver.serve.account import account  # noqa: PLC0415
    from adserver.serve.dosage import carried, with_carried  # noqa: PLC0415
    from adserver.serve.handler import CHOICE  # noqa: PLC0415
    from adserver.start import open_versions  # noqa: PLC0415

    data, now_ms, entropy = session.need_data(), SystemClock().now_ms(), SystemEntropy()
    columns = open_versions(session.settings).load_snapshot()
    if columns is None:
        problem = Problem(str(data), "publish one: adserver catalogue publish FILE")
        raise InvalidInput("there is no catalogue to decide from", [problem])
    request = json_request.parse(body)
    vendor = session.settings.tcf_vendor_id
    verdict = consent.judge(request.consent, header_opt_out=False, vendor=vendor)
    request = consent.reduce(request, verdict)
    viewer_id, keys = request.viewer.id, load_or_create(data, entropy)
    viewer = None if viewer_id is None else _viewer(session, viewer_id, verdict)
    sealing = keys.sealing(now_ms)
    tokens = DosageTokens(sealing.secret, sealing.id, entropy.take)
    tokens.renew(keys.opening(now_ms), sealing.id)
    came = carried(tokens, request.viewer, now_ms)
    viewer = with_carried(viewer, came, columns.meta.dim)
    decision_id = new_decision_id(now_ms, entropy)
    if number is None:
        number = draw(keys.draw.secret, decision_id, CHOICE)
    decider = Decider(columns)
    if viewer_id is not None and held_out(viewer_id, columns.meta.policy.hold_out):
        decision = decider.gate(Reason.HELD_OUT, now_ms, decision_id)
    else:
        decision = decider.decide(
            request, viewer, now_ms, decision_id, number, house_only=verdict.house_only
        )
    uncapped = Uncapped(columns).decide(decision, request, viewer, house_only=verdict.house_only)
    return account(decision, request, viewer, columns, uncapped=uncapped, consent=verdict.told())


def _viewer(session: Session, viewer_id: str, verdict: "Verdict") -> "OpenRecord | None":
    from adserver.start import open_viewers  # noqa: PLC0415
    from adserver.viewer.codec import open_record, without_profile  # noqa: PLC0415

    with closing(open_viewers(session.settings)) as store:
        raw = asyncio.run(store.get(viewer_id, STORE_S))
    if raw is None:
        session.say(f"Viewer {viewer_id!r} is not known: the decision is made from context alone.")
        return None
    return open_record(raw if verdict.may.use_profile else without_profile(raw))


def _replay(session: Session, past_id: str) -> bool:
    """Decide again, tell how it went, and return whether it came out the same."""
    from adserver.app import open_past  # noqa: PLC0415
    from adserver.cli.explain import parse_id, unknown  # noqa: PLC0415
    from adserver.journal.find import find_decision  # noqa: PLC0415
    from adserver.learn.replay import keeps_inputs, replay, replay_inputs  # noqa: PLC0415
    from adserver.start import journal_path  # noqa: PLC0415

    wanted = parse_id(past_id)
    session.need_data()
    found = find_decision(journal_path(session.settings), wanted)
    if found is None:
        raise unknown(past_id)
    row = found.decision
    past = open_past(session.settings)
    columns = past.columns(row)
    account = past.account(found)
    names = [candidate["variant"] for candidate in account.explanation.get("candidates", ())]
    drawn = next(replay([row]), None)
    parts: dict[str, list[dict[str, Any]] | None] = {"from_shortlist": None, "from_inputs": None}
    if drawn is not None:
        parts["from_shortlist"] = _named(drawn.compared(), names)
        if keeps_inputs(row) and columns is not None:
            parts["from_inputs"] = _named(replay_inputs(row, columns), names)
    same = all(each["same"] for compared in parts.values() for each in compared or ())
    data = {"decision_id": account.decision_id, "drawn": row.drawn, "same": same, **parts}
    session.show(data, "\n".join(_lines(account, parts, same=same)))
    return same


def _named(compared: "list[Compared]", names: list[str]) -> list[dict[str, Any]]:
    """Return what was compared as plain data, the chosen column by its variant's name."""
    rows = [each._asdict() for each in compared]
    for row in rows:
        if row["what"] == "chosen":
            for side in ("logged", "replayed"):
                row[side] = "nothing" if row[side] < 0 else names[row[side]]
    return rows


def _lines(
    account: "Account", parts: dict[str, list[dict[str, Any]] | None], *, same: bool
) -> Iterator[str]:
    yield f"Decision {account.decision_id}, made {account.time}"
    shortlist, inputs = parts["from_shortlist"], parts["from_inputs"]
    if shortlist is None:
        yield f"Nothing was drawn ({account.reason}), so there is nothing to replay."
        return
    width = max((len(str(row["logged"])) for row in (*shortlist, *(inputs or ()))), default=0)
    yield from ("", "From the logged shortlist and the logged draw", _heading(width))
    yield from (_line(row, width) for row in shortlist)
    if inputs is None:
        yield from ("", "The whole inputs were not kept: one decision in 100, and every explained")
        yield "one, is kept with its request and its viewer record."
    else:
        yield from ("", "From the whole request and the viewer record", _heading(width))
        yield from (_line(row, width) for row in inputs)
    yield ""
    yield "The same decision." if same else "NOT the same decision."


def _heading(width: int) -> str:
    return f"  {'':32}{'logged':{width}}  replayed"


def _line(row: dict[str, Any], width: int) -> str:
    mark = "" if row["same"] else "   <- differs"
    before, after = ("none" if row[side] is None else row[side] for side in ("logged", "replayed"))
    return f"  {row['what']:32}{before!s:{width}}  {after}{mark}"
