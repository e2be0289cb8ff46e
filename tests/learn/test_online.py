"""The learner: where it begins, what few outcomes move, and what it publishes."""

import msgspec
import numpy as np
import pytest

from adserver.domain.model import Calibrator, Head, Model
from adserver.learn import online
from adserver.learn.logistic import logit, sigmoid
from adserver.learn.online import RECENT, RECENT_MIN, REFIT_EVERY, Learner
from adserver.worlds.dice import throw
from tests.learn.rows import rows

COLD = Model()


def rate(model, campaign, variant):
    """Probability of completion of somebody nothing is known of."""
    head = model.complete
    z = head.offset + head.campaigns.get(campaign, 0.0) + head.variants.get(variant, 0.0)
    return float(sigmoid(np.float64(head.calibrator.a * z + head.calibrator.b)))


def taught(shares, outcomes_count, seed=1, base=COLD):
    """Learn (campaign, variant) → share of completions, each as often, in an order by lot."""
    dice = throw(seed)
    learner = Learner(base)
    names = list(shares)
    told = [
        (*names[k], None, dice.random() < shares[names[k]], dice.random() < 0.1)
        for k in dice.integers(0, len(names), outcomes_count)
    ]
    learner.learn(rows(learner, told))
    return learner


def test_without_outcomes_it_publishes_what_it_began_with():
    base = Model(
        complete=Head(
            0.3, 1.0, -0.2, {"device:tv": 0.1}, {"a": 0.4}, {"a1": -0.2}, Calibrator(0.9)
        ),
        annoyed=Head(-2.0, variants={"a1": 0.3}),
        resolved=77,
        profile_rate=0.1,
    )
    assert Learner(base).model() == base
    some = Learner(base)
    some.table.find("variant", ["a1", "never-seen"])
    assert some.model() == base


def test_a_new_variant_has_its_campaigns_rate_and_a_new_campaign_the_base_rate():
    shares = {("good", "g1"): 0.9, ("good", "g2"): 0.8, ("bad", "b1"): 0.3, ("bad", "b2"): 0.2}
    model = taught(shares, 8000).model()
    assert rate(model, "good", "g1") == pytest.approx(0.9, abs=0.06)
    assert rate(model, "bad", "b2") == pytest.approx(0.2, abs=0.06)
    assert rate(model, "good", "new") == pytest.approx(0.85, abs=0.06)
    assert rate(model, "bad", "new") == pytest.approx(0.25, abs=0.06)
    # In log odds the mean of .9, .8, .3 and .2, the surest weighing most.
    assert rate(model, "new", "new") == pytest.approx(0.54, abs=0.06)


def test_few_outcomes_move_a_variant_towards_its_rate_and_no_further():
    """As (n*rate + m*parent)/(n + m) does: in between, and closer with every outcome."""
    parent = rate(COLD, "a", "a1")
    last = parent
    for count in (1, 3, 10, 30, 300):
        learner = Learner(COLD)
        learner.learn(rows(learner, [("a", "a1", None, False, False)] * count))
        learner.calibrators = (Calibrator(), Calibrator())
        learner.recent[:] = 0.0
        learner.learnt = 0  # only the weights: what the calibrators add is another test's
        found = rate(learner.model(), "a", "a1")
        assert 0.0 < found < last
        last = found
    assert last < 0.1
    one = Learner(COLD)
    one.learn(rows(one, [("a", "a1", None, False, False)]))
    # m = 5 would take it to 5/6 of the parent's rate, m = 15 to 15/16.
    assert parent * 5 / 6 < rate(one.model(), "a", "a1") < parent * 15 / 16


def test_how_it_is_spelt_changes_nothing_that_was_learnt():
    shares = {("a", "a1"): 0.9, ("a", "a2"): 0.4, ("b", "b1"): 0.2}
    learner = taught(shares, 400)
    table, model = learner.table, learner.model()
    for campaign, variant in shares:
        at = np.array([0, table.names[f"campaign:{campaign}"], table.names[f"variant:{variant}"]])
        z = 1.0 + learner.weights(at.astype(np.int32))[0].sum()
        head = model.complete
        spelt = head.offset + head.campaigns[campaign] + head.variants[variant]
        assert spelt == pytest.approx(z, abs=1e-5)


def test_what_concerns_a_viewer_is_no_part_of_the_model():
    learner = Learner(COLD)
    told = [("a", "a1", viewer, viewer == "likes", False) for viewer in ("likes", "loathes")] * 50
    learner.learn(rows(learner, told))
    at = learner.table.find_viewers([b"likes", b"loathes"], np.zeros((2, 2)))
    likes, loathes = learner.weights(at)[0]
    assert likes > 0.5
    assert loathes < -0.5
    assert b"likes" not in msgspec.json.encode(learner.model())


def test_forgotten_viewers_are_gone_and_the_others_stay():
    learner = Learner(COLD)
    told = [("a", f"a{i}", f"viewer-{i}", i % 2, 0) for i in range(40)]
    learner.learn(rows(learner, told))
    before = learner.model()
    table = learner.table
    keep = [f"viewer-{i}".encode() for i in (3, 17)]
    weights = learner.weights(table.find_viewers(keep, np.zeros((2, 2))))
    assert table.forget_viewers(keep) == 38
    assert list(table.viewers) == keep
    assert np.array_equal(learner.weights(table.find_viewers(keep, np.zeros((2, 2)))), weights)
    assert learner.model() == before
    assert len(table) == len(table.names) + 2
    assert table.forget_viewers(keep) == 0


def test_a_viewer_begins_with_the_weights_of_the_record():
    learner = Learner(COLD)
    own = np.array([[0.7], [-0.4]])
    at = learner.table.find_viewers([b"known"], own)
    assert learner.weights(at) == pytest.approx(own)
    assert learner.table.find_viewers([b"known"], np.zeros((2, 1))) == at


def test_many_names_keep_what_was_learnt():
    learner = Learner(COLD)
    learner.learn(rows(learner, [("a", "a1", None, 1, 0)] * 20))
    before = learner.model()
    learner.table.find("variant", [f"v{i}" for i in range(5000)])
    assert len(learner.table) > 5000
    assert learner.model() == before


@pytest.mark.parametrize("cuts", [[1], [3, 700], [4999, 5000, 5001], [2500, 10_001]])
def test_in_parts_as_in_one(cuts):
    dice = throw(2)
    told = [
        (f"c{k % 7}", f"v{k % 31}", f"u{k % 11}", dice.random() < 0.5, dice.random() < 0.2)
        for k in dice.integers(0, 1000, 11_000)
    ]
    whole = Learner(COLD)
    p = whole.learn(rows(whole, told))
    parts = Learner(COLD)
    found = []
    for first, end in zip([0, *cuts], [*cuts, len(told)], strict=True):
        found.append(parts.learn(rows(parts, told[first:end])))
    assert np.array_equal(np.concatenate(found, axis=1), p)
    assert parts.model() == whole.model()


def test_the_calibrator_is_that_of_the_recent_outcomes():
    """The offset says .73, half complete: with the weights held still the calibrator mends it."""
    assert RECENT_MIN < REFIT_EVERY <= RECENT
    learner = Learner(COLD, online.Pace(alpha=1e-9))
    dice = throw(4)
    told = [("a", "a1", None, dice.random() < 0.5, False) for _ in range(2 * RECENT)]
    p = learner.learn(rows(learner, told))
    assert p[0, 0] == pytest.approx(sigmoid(np.float64(1.0)))
    assert p[0, REFIT_EVERY:].mean() == pytest.approx(0.5, abs=0.02)
    head = learner.model().complete
    assert head.calibrator.a * head.offset + head.calibrator.b == pytest.approx(
        float(logit(np.float64(0.5))), abs=0.05
    )


def test_too_few_outcomes_leave_the_calibrator_alone():
    learner = Learner(COLD)
    learner.learn(rows(learner, [("a", "a1", None, 1, 0)] * (RECENT_MIN - 1)))
    assert learner.model().complete.calibrator == Calibrator()
    learner.learn(rows(learner, [("a", "a1", None, 1, 0)]))
    assert learner.model().complete.calibrator != Calibrator()


def test_resolved_counts_on_from_the_base():
    assert taught({("a", "a1"): 0.5}, 30, base=Model(resolved=100)).model().resolved == 130
