"""Three viewers whose answers differ: two variants of one campaign, and nothing."""

from collections.abc import Iterable, Mapping, Sequence

from adserver.decide.pipeline import Decider
from adserver.domain.decision import ValueRow
from adserver.domain.reasons import Reason
from adserver.domain.request import AdRequest, Content
from adserver.domain.viewer import OpenRecord
from adserver.worlds.example import Example

NO_ID = bytes(16)
LAST_DRAW = 1.0 - 2.0**-53


def showcase(
    decider: Decider,
    placement: str,
    categories: Iterable[str],
    viewers: Mapping[str, OpenRecord],
    now_ms: int,
) -> Sequence[Example]:
    """Find the examples on one page: the category whose three are the surest.

    Parameters
    ----------
    decider
        Of the snapshot the answers will come from.
    placement, categories
        Where, and the kinds of content to try.
    viewers
        Records by viewer id; among equals the first are taken.
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
        likely = [
            _likeliest(decider, request, name, category, record, now_ms)
            for name, record in viewers.items()
        ]
        found = [*_pair(likely), *_nothing(likely)]
        if (len(found), _surety(found)) > (len(best), _surety(best)):
            best = found
    return best


def _surety(examples: Sequence[Example]) -> float:
    return min((example.probability for example in examples), default=0.0)


def _pair(examples: Sequence[Example]) -> list[Example]:
    """Return the surest two variants of one campaign, or the surest show."""
    surest: dict[str, dict[str, Example]] = {}
    for example in examples:
        if example.campaign is None or example.variant is None:
            continue
        variants = surest.setdefault(example.campaign, {})
        if example.variant not in variants or _surer(example, variants[example.variant]):
            variants[example.variant] = example
    ranked = [
        sorted(variants.values(), key=lambda example: -example.probability)[:2]
        for variants in surest.values()
    ]
    return max(ranked, key=lambda pair: (len(pair), _surety(pair)), default=[])


def _nothing(examples: Sequence[Example]) -> list[Example]:
    """Return the surest viewer for whom nothing is relevant enough."""
    word = Reason.BELOW_THRESHOLD.word
    none = [example for example in examples if example.reason == word]
    return sorted(none, key=lambda example: -example.probability)[:1]


def _surer(example: Example, former: Example) -> bool:
    return example.probability > former.probability


def _likeliest(
    decider: Decider,
    request: AdRequest,
    viewer: str,
    category: str,
    record: OpenRecord,
    now_ms: int,
) -> Example:
    """Return the most probable arm of a decision, whichever the draw picked."""
    # The last draw of all picks nothing whenever nothing has any chance.
    decision = decider.decide(request, record, now_ms, NO_ID, LAST_DRAW)
    odds = decision.values[ValueRow.PROPENSITY]
    arm = int(odds.argmax()) if odds.size else 0
    if not odds.size or float(odds[arm]) < decision.p_nothing:
        reason = decision.reason.word if decision.reason else Reason.EXPLORED.word
        return Example(viewer, category, None, None, reason, decision.p_nothing)
    texts = decider.columns.texts
    variant, campaign, _ = decision.ids[:, arm].tolist()
    return Example(
        viewer,
        category,
        texts["campaign"][campaign].decode(),
        texts["variant"][variant].decode(),
        None,
        float(odds[arm]),
    )
