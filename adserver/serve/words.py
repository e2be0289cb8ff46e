"""A decision in words, for whoever plans campaigns and not programs."""

from collections.abc import Iterator
from typing import Any, Final

from adserver.serve.account import Account

GATES: Final = {
    "not_ready": "nothing was published yet: there was no catalogue to choose from",
    "overload": "the server had more requests than it could answer in time",
    "deadline": "the time for the answer ran out before a decision was made",
    "consent": "consent does not allow it",
    "opted_out": "the viewer opted out",
    "held_out": "the viewer belongs to the hold-out: the share of viewers who never see an ad, so "
    "that the effect of ads can be measured",
}
REASONS: Final = {
    **GATES,
    "no_candidates": "no campaign was in flight, or the placement is not in the catalogue",
    "not_targeted": "no campaign in flight is targeted at this request",
    "player": "the player cannot play any of the targeted variants",
    "suppressed": "everything left was suppressed for this viewer",
    "capped": "everything left had reached a cap for this viewer",
    "budget": "everything left was held back by budget, pacing or the placement's floor price",
    "below_threshold": "no candidate was relevant enough",
    "dose": "a candidate was relevant enough, but not so soon after the prerolls already seen",
    "explored": "candidates were relevant enough; the draw picked nothing",
}
STAGES: Final = {
    "flight": "in flight now",
    "targeting": "targeted at this request",
    "player": "playable by this player",
    "suppression": "not suppressed for this viewer",
    "caps": "under every cap",
    "budget": "with budget, and not held back by pacing or floor price",
    "shortlist": "on the shortlist, the most relevant ones",
    "threshold": "above the bar",
}
FALLEN: Final = {
    "no_candidates": "out of flight, or placement unknown",
    "not_targeted": "targeted elsewhere",
    "player": "wrong format, size or length",
    "suppressed": "suppressed",
    "capped": "capped",
    "budget": "no budget, held back or below the floor",
    "below_threshold": "not relevant enough",
    "dose": "too soon after the last prerolls",
}
LEVERS: Final = {
    "relevance": ("{whom} were {by:.3f} {less} relevant", ("more", "less")),
    "threshold": ("the bar of {whom} were {by:.3f} {less}", ("higher", "lower")),
    "bid": ("the bid of {whom} were {by:.2f} {currency} {less}", ("higher", "lower")),
    "cap": ("the caps that keep it out were {by:g} {less}", ("higher", "lower")),
    "dose": ("the viewer had seen {by:.2g} {less} prerolls lately", ("more", "fewer")),
}
"""Lever → what pulling it means, and the words for up and down."""
RULES: Final = {
    "greedy": "the policy is greedy: the best candidate, or nothing, without chance",
    "epsilon_greedy": "the best candidate, but for {epsilon} of draws shared by all",
    "inverse_gap": "the nearer to the best, the likelier, and {epsilon} of draws shared by all",
}
NOT_KEPT: Final = "not kept; it is for one decision in 100, and for those explained when made"
_LISTED: Final = 8
_WIDTH: Final = 30


def tell(account: Account, *, whole: bool = True) -> str:
    """Return the account, paragraph by paragraph; or only the answer and how it was drawn."""
    parts = [_answer(account), _why(account)]
    if account.draw.drawn:
        parts.append(_chance(account))
    if whole:
        parts += [_stages(account), _candidates(account), _flip(account)]
        parts += [_circumstances(account), _events(account)]
    return "\n\n".join("\n".join(lines) for lines in map(list, parts) if lines)


def _answer(account: Account) -> Iterator[str]:
    yield f"Decision {account.decision_id}"
    yield f"made {_time(account.time)} UTC for placement {account.placement}"
    yield ""
    if account.action == "show":
        kind = ", as a surprise" if account.surprise else ""
        yield (
            f"Shown: {account.variant} (creative {account.creative}, campaign {account.campaign})"
            + kind
        )
    else:
        yield f"Nothing was shown: {REASONS[str(account.reason)]}."


def _why(account: Account) -> Iterator[str]:
    """Relevance against the bar, of what was shown or came closest."""
    candidates = account.explanation.get("candidates")
    if not candidates:
        return
    first = _subject(account)
    over = first["relevance"] - first["threshold"]
    yield f"Why {first['variant']}" if account.action == "show" else f"Nearest: {first['variant']}"
    yield _row(
        "relevance",
        f"{first['relevance']:.3f} = {first['p_complete']:.0%} chance to be watched to the end "
        f"- {first['annoyance_cost']:g} x {first['p_annoyed']:.1%} chance to annoy",
    )
    dosed = account.draw.dose_weight * first["dose"]
    asked = round(first["threshold"] - dosed, 3) + 0.0  # never "-0.000"
    of = f" ({asked:.3f} asked + {dosed:.3f} for {_dose(first['dose'])})" if dosed else ""
    yield _row("bar", f"{first['threshold']:.3f}{of}")
    yield _row("margin", f"{over:+.3f}, {'above' if over >= 0 else 'below'} the bar")
    second = account.explanation["runner_up"]
    if second is not None:
        other = next(each for each in candidates if each["variant"] == second)
        more = other["relevance"] - first["relevance"]
        yield _row(
            "second",
            f"{second} (campaign {other['campaign']}): relevance {other['relevance']:.3f}, "
            f"margin {other['relevance'] - other['threshold']:+.3f}",
        )
        if account.action == "show" and more > 0:
            yield _row("", _outbid(first, other, str(account.currency)))


def _outbid(first: dict[str, Any], other: dict[str, Any], currency: str) -> str:
    """Say what made up for less relevance."""
    if (first["house"], first["priority"]) != (other["house"], other["priority"]):
        return "more relevant, but of lower priority"
    if first["bid_cpm"] > other["bid_cpm"]:
        bids = f"{other['bid_cpm']:.2f} against {first['bid_cpm']:.2f} {currency} CPM"
        return f"more relevant, but margin x bid decides, and it bids {bids}"
    return "more relevant, but chance picked otherwise"


def _chance(account: Account) -> Iterator[str]:
    draw = account.draw
    yield "How it was drawn"
    if not account.explanation.get("candidates"):
        yield "  there was nothing to draw from"
        return
    rule = RULES[draw.exploration].format(epsilon=f"{draw.epsilon:.0%}")
    yield _row("rule", rule)
    picked = "nothing" if account.action == "none" else account.variant
    yield _row("chance of this answer", f"{_share(account.propensity)} ({picked})")
    if account.action == "show":
        yield _row("chance of nothing", _share(draw.p_nothing))
    if draw.exploration != "greedy":
        yield _row("number drawn", f"{draw.number:.6f}")
    yield _row("surprise", _surprise(account))


def _surprise(account: Account) -> str:
    draw = account.draw
    if account.surprise:
        return "yes: below the bar, shown to learn whether the bar is right"
    if draw.exploration == "greedy":
        return "no: a greedy policy never surprises"
    if not draw.surprise_allowed:
        return "no: this viewer had theirs today"
    return (
        f"no: {draw.surprise_share:.0%} of draws could, up to {draw.surprise_band:g} below the bar"
    )


def _stages(account: Account) -> Iterator[str]:
    stages = account.explanation.get("stages")
    if not stages:
        return
    yield "What fell away"
    yield f"  {stages[0]['in']:>9,}  variants in the catalogue"
    for stage in stages:
        if not stage["in"]:
            return
        fallen = ", ".join(f"{count:,} {FALLEN[word]}" for word, count in stage["reasons"].items())
        yield f"  {stage['out']:>9,}  {STAGES[stage['stage']]}" + (
            f"  (-{fallen})" if fallen else ""
        )
    if account.throttled:
        yield f"  held back by budget or pacing: {', '.join(account.throttled)}"


def _candidates(account: Account) -> Iterator[str]:
    candidates = account.explanation.get("candidates")
    if not candidates:
        return
    listed = [
        each
        for rank, each in enumerate(candidates)
        if rank < _LISTED or each["variant"] == account.variant
    ]
    width = max(len(each["variant"]) for each in listed)
    yield f"Candidates, the most relevant first (bids in {account.currency} CPM)"
    yield f"  {'':{width}}  watched  annoyed  relevance  margin     bid  priority   chance"
    for each in listed:
        mark = "  <- shown" if each["variant"] == account.variant else ""
        priority = "house" if each["house"] else each["priority"]
        yield (
            f"  {each['variant']:{width}}  {each['p_complete']:7.0%}  {each['p_annoyed']:7.1%}  "
            f"{each['relevance']:9.3f}  {each['relevance'] - each['threshold']:+6.3f}  "
            f"{each['bid_cpm']:6.2f}  {priority:>8}  {_share(each['propensity']):>7}{mark}"
        )
    more = len(candidates) - len(listed)
    rest = account.rest.count
    if more or rest:
        yield f"  and {more} more on the shortlist; {rest:,} others were less relevant"


def _flip(account: Account) -> Iterator[str]:
    flip = account.explanation.get("flip")
    if not flip:
        return
    preferred = flip["preferred"]
    aside = "" if account.draw.exploration == "greedy" else ", chance aside"
    yield f"What would have changed it{aside}: instead of {preferred or 'nothing'},"
    smallest = flip["smallest"]
    for lever in sorted(flip["levers"], key=lambda name: name != smallest):
        pull = flip["levers"][lever]
        sentence, (up, down) = LEVERS[lever]
        said = sentence.format(
            whom=preferred or pull["then"],
            by=abs(pull["by"]),
            less=up if pull["by"] > 0 else down,
            currency=account.currency,
        )
        mark = "  <- the smallest change" if lever == smallest else ""
        yield f"  {pull['then'] or 'nothing'} if {said}{mark}"


def _circumstances(account: Account) -> Iterator[str]:
    moment = account.explanation.get("moment")
    yield "Circumstances"
    if moment and (moment["intent"] or moment["urgency"] is not None):
        urgency = "" if moment["urgency"] is None else f", urgency {moment['urgency']:g}"
        yield _row(
            "moment", f"{moment['intent'] or 'unknown'}{urgency} (source: {moment['source']})"
        )
    consent = account.explanation.get("consent")
    if consent is None:
        yield _row("consent", NOT_KEPT)
    else:
        allowed = [name.replace("_", " ") for name, may in consent["may"].items() if may]
        yield _row("consent allows", ", ".join(allowed) or "nothing: the viewer was a stranger")
    for kind, version in account.versions.items():
        yield _row(kind, version)


def _events(account: Account) -> Iterator[str]:
    if not account.events and account.action == "none":
        return
    yield "What was heard of it"
    if not account.events:
        yield "  nothing yet"
        return
    for heard in account.events:
        yield f"  {_time(heard.time)}  {heard.event.replace('_', ' ')}"


def _subject(account: Account) -> dict[str, Any]:
    """Return the candidate that was shown, or that came nearest to it."""
    candidates: list[dict[str, Any]] = account.explanation["candidates"]
    if account.action == "show":
        return next(each for each in candidates if each["variant"] == account.variant)
    return max(candidates, key=lambda each: each["relevance"] - each["threshold"])


def _row(name: str, text: str) -> str:
    return f"  {name:<{_WIDTH}}{text}"


def _share(p: float | None) -> str:
    return "none" if p is None else f"{p:.2%}"


def _dose(dose: float) -> str:
    said = f"{dose:.2g}"
    return f"{said} recent preroll{'' if said == '1' else 's'}"


def _time(text: str) -> str:
    return text.replace("T", " ").removesuffix("Z")
