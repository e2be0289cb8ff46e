"""The arms of the decision benchmark: one catalogue, four ways to decide, and the memory floor."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.kernels.catalogue import REQUESTS, SHORTLIST_MAX, Catalogue
from bench.kernels.reading import sum_vectors
from bench.kernels.vectorised import Vectorised
from kernels import decision
from tests.naive import decision as naive

Arm = Callable[[int], object]


def arms(catalogue: Catalogue) -> dict[str, Arm]:
    """Return each arm as a function of which request; ``naive`` is for the smallest size."""
    vectorised = Vectorised(catalogue)
    return {
        "kernel": catalogue.decide,
        "numpy": vectorised.over_all,
        "numpy, eligible gathered": vectorised.over_eligible,
        "naive": naive_arm(catalogue),
        "read": reading_arm(catalogue),
    }


def reading_arm(catalogue: Catalogue) -> Arm:
    """Return what reads the vectors of the matched campaigns and does nothing else."""
    vectors, starts = (catalogue.arrays[name] for name in ("vectors", "campaign_start"))
    return lambda i: sum_vectors(vectors, starts, catalogue.matched(i))


def naive_arm(catalogue: Catalogue) -> Arm:
    """Return the oracle; its lists are made on the first call, they are not what is measured."""
    lists: dict[str, Any] = {}

    def decide(i: int) -> dict[str, Any]:
        if not lists:
            lists.update({name: array.tolist() for name, array in catalogue.arrays.items()})
        lists["request"] = catalogue.requests[i].tolist()
        inputs = catalogue.record, catalogue.asked[i], catalogue.fits, catalogue.closed
        lists_of = [array.tolist() for array in (*inputs, catalogue.pace)]
        chosen = naive.decide_request(lists, *lists_of)
        length = lists["numbers"][decision.LENGTH]
        return {
            "chosen": chosen,
            "variants": lists["ids"][0][:length],
            "relevance": lists["values"][4][:length],
            "p": [*lists["values"][7][:length], lists["outcome"][decision.OUT_P_NOTHING]],
            "rest": lists["rest"],
            "counts": lists["counts"][2:],
        }

    return decide


def answer(catalogue: Catalogue, i: int) -> dict[str, Any]:
    """Return what the kernel's last decision found, as the other arms return it."""
    chosen = catalogue.decide(i)
    arrays = catalogue.arrays
    outcome, length = arrays["outcome"], int(arrays["numbers"][decision.LENGTH])
    return {
        "chosen": chosen,
        "variants": arrays["ids"][0, :length].copy(),
        "relevance": arrays["values"][4, :length].copy(),
        "p": np.append(arrays["values"][7, :length], outcome[decision.OUT_P_NOTHING]),
        "rest": arrays["rest"].copy(),
        "counts": arrays["counts"][2:].tolist(),
    }


def assert_same(catalogue: Catalogue, arm: str, decide: Arm) -> None:
    """Fail when an arm answers any request otherwise than the kernel."""
    for i in range(REQUESTS):
        expected = answer(catalogue, i)
        assert len(expected["variants"]) <= SHORTLIST_MAX
        if arm == "read":
            matched = np.repeat(catalogue.wanted[i], catalogue.shape.campaign_variants)
            exact = float(catalogue.arrays["vectors"][matched].sum(dtype=float))
            np.testing.assert_allclose(decide(i), exact, rtol=1e-3, atol=0.1)
        elif arm != "kernel":
            got: Any = decide(i)
            assert got["chosen"] == expected["chosen"]
            assert list(got["counts"]) == expected["counts"]
            assert list(got["variants"]) == expected["variants"].tolist()
            for name in ("relevance", "p", "rest"):
                np.testing.assert_allclose(got[name], expected[name], rtol=2e-3, atol=2e-6)
