"""Three viewers whose answers differ: two variants of one campaign, and nothing."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from adserver.decide.pipeline import Decider
from adserver.domain.decision import Decision
from adserver.domain.reasons import Reason
from adserver.domain.request import AdRequest, Content
from adserver.domain.viewer import OpenRecord

NO_ID = bytes(16)
MIDDLE_DRAW = 0.5


class Example(Struct, frozen=True):
    """One viewer's request and what it is answered."""

    viewer: str
    category: str
    campaign: str | None
    variant: str | None
    reason: str | None


def showcase(
    decider: Decider,
    placement: str,
    categories: Iterable[str],
    viewers: Mapping[str, OpenRecord],
    now_ms: int,
) -> Sequence[Example]:
    """Find the examples on one page: the first category that has all three.

    Parameters
    ----------
    decider
        Of the snapshot the answers will come from.
    placement, categories
        Where, and the kinds of content to try, in this order.
    viewers
        Records by viewer id, tried in this order.
    now_ms
        Milliseconds since the epoch.

    Returns
    -------
    sequence of Example
        Three, or as many as there are.
    """
    best: list[Example] = []
    for category in categories:
        request = AdRequest(placement, content=Content(categories=(category,)))
        first: dict[str, Example] = {}
        pair: list[Example] = []
        nothing: list[Example] = []
        for viewer, record in viewers.items():
            decision = decider.decide(request, record, now_ms, NO_ID, MIDDLE_DRAW)
            example = _example(decider, decision, viewer, category)
            if example.campaign is None:
                if decision.reason is Reason.BELOW_THRESHOLD and not nothing:
                    nothing.append(example)
            elif not pair:
                former = first.setdefault(example.campaign, example)
                if former.variant != example.variant:
                    pair = [former, example]
            if pair and nothing:
                return [*pair, *nothing]
        best = max(best, [*(pair or list(first.values())[:1]), *nothing], key=len)
    return best


def _example(decider: Decider, decision: Decision, viewer: str, category: str) -> Example:
    if not decision.shown:
        assert decision.reason is not None, "nothing is shown for a reason"  # noqa: S101
        return Example(viewer, category, None, None, decision.reason.word)
    texts = decider.columns.texts
    variant, campaign, _ = decision.ids[:, decision.chosen].tolist()
    return Example(
        viewer,
        category,
        texts["campaign"][campaign].decode(),
        texts["variant"][variant].decode(),
        None,
    )
