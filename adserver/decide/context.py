"""Context of a request as features of the model: one name per feature, weight 0 when unknown."""

from collections.abc import Iterator, Mapping

from adserver.domain.decision import Moment
from adserver.domain.request import AdRequest


def context_features(request: AdRequest, moment: Moment) -> Iterator[str]:
    """Yield the names of the features that hold for this request."""
    if request.device.type is not None:
        yield f"device:{request.device.type}"
    if moment.intent is not None:
        yield f"intent:{moment.intent}"


def context_weight(weights: Mapping[str, float], request: AdRequest, moment: Moment) -> float:
    """Return the sum of the head's weights over the request's features."""
    if not weights:
        return 0.0
    return sum(weights.get(feature, 0.0) for feature in context_features(request, moment))
