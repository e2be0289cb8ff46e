"""The scoring kernels: as their oracles, and the laws of a shortlist."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import assume, example, given
from hypothesis import strategies as st

from kernels import scoring
from tests.kernels.generated import Campaign, Shortlist, Shortlisting, Variant, shortlistings
from tests.naive import scoring as naive

floats = st.floats(allow_nan=False)
log_odds = st.one_of(st.floats(-40, 40), floats)


def shortlist(shortlisting):
    """Return what the kernel fills."""
    out = Shortlist(shortlisting.k_max)
    out.length = scoring.shortlist_candidates(
        *shortlisting.arguments(), out.ids, out.values, out.counts, out.rest
    )
    return out


def expected_shortlist(shortlisting):
    """Return what the oracle fills."""
    out = Shortlist(shortlisting.k_max)
    plain = [np.asarray(each).tolist() for each in shortlisting.arguments()]
    ids, values, counts, rest = (
        array.tolist() for array in (out.ids, out.values, out.counts, out.rest)
    )
    out.length = naive.shortlist_candidates(*plain, ids, values, counts, rest)
    out.ids, out.values = np.array(ids), np.array(values)
    out.counts, out.rest = np.array(counts), np.array(rest)
    return out


def assert_same(got, expected):
    length = got.length
    assert length == expected.length
    assert got.counts.tolist() == expected.counts.tolist()
    assert got.ids[:2, :length].tolist() == expected.ids[:2, :length].tolist()
    for row in (got.values[:5, :length], expected.values[:5, :length]), (got.rest, expected.rest):
        np.testing.assert_allclose(*row, rtol=1e-6, atol=1e-7)


def one_campaign(heads, k_max=32, **campaign):
    """Return a request to one campaign whose variants differ in their weight only."""
    variants = tuple(Variant((0.0,), (weight, -30.0), 0, 15_000, -1, 0) for weight in heads)
    weights = (0.0,) * 7 + (1.0, 1.0, 0.0, 0.0, 3.0)
    return Shortlisting(
        (Campaign(variants, **campaign),), (0.0,), weights, (0, 2**31 - 1, 0, 0), (1,), (0,), k_max
    )


@given(shortlistings())
@example(one_campaign(()))
@example(one_campaign((math.nan, 0.0)))
@example(one_campaign((0.5,) * 9))
@example(one_campaign((0.5,) * 9, matched=False))
@example(one_campaign((0.5,) * 9, closed=True))
def test_matches_oracle(shortlisting):
    assert_same(shortlist(shortlisting), expected_shortlist(shortlisting))


def test_a_campaign_that_beats_all_does_not_keep_the_others_out():
    """Its fifth best stays outside, and is better than anything of the campaigns that follow."""
    best, worse = (one_campaign((weight,) * 9).campaigns[0] for weight in (2.0, -2.0))
    got = shortlist(one_campaign(()).with_campaigns([best, worse, worse]))
    assert got.ids[1, : got.length].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert got.rest[0] == got.values[4, 0]


@given(shortlistings())
def test_the_shortlist_is_ordered_and_within_its_limits(shortlisting):
    got = shortlist(shortlisting)
    relevances = got.values[4, : got.length]
    assert (np.diff(relevances) <= 0).all()
    assert got.length <= shortlisting.k_max
    assert max(Counter(got.ids[1, : got.length].tolist()).values(), default=0) <= 4
    ties = np.diff(relevances) == 0
    assert (np.diff(got.ids[0, : got.length])[ties] > 0).all()


@given(shortlistings(), st.data())
def test_blind_to_ineligible_variants(shortlisting, data):
    def scrambled(campaign):
        return tuple(
            variant
            if shortlisting.admits(campaign, variant)
            else replace(variant, vector=(9.0,) * len(variant.vector), heads=(9.0, -9.0))
            for variant in campaign.variants
        )

    other = [replace(each, variants=scrambled(each)) for each in shortlisting.campaigns]
    position = data.draw(st.integers(0, len(other)))
    changed = shortlist(shortlisting.with_campaigns(other))
    assert_same(changed, shortlist(shortlisting))
    if shortlisting.campaigns:
        uninvited = replace(data.draw(st.sampled_from(other)), matched=False)
        with_one_more = shortlist(
            shortlisting.with_campaigns([*other[:position], uninvited, *other[position:]])
        )
        length = changed.length
        assert with_one_more.values[:5, :length].tolist() == changed.values[:5, :length].tolist()
        assert with_one_more.counts.tolist() == changed.counts.tolist()


@given(shortlistings(), st.data())
def test_the_order_of_campaigns_decides_ties_only(shortlisting, data):
    campaigns = shortlisting.campaigns
    order = data.draw(st.permutations(range(len(campaigns))))
    plain, shuffled = (
        shortlist(shortlisting),
        shortlist(shortlisting.with_campaigns([campaigns[k] for k in order])),
    )
    assert shuffled.counts.tolist() == plain.counts.tolist()
    relevances = plain.values[4, : plain.length].tolist()
    assert shuffled.values[4, : shuffled.length].tolist() == relevances
    # The last relevance may be shared with candidates outside: which of them is in, is a tie.
    sure = [relevance > relevances[-1] for relevance in relevances]
    once = len(set(relevances)) == len(relevances)
    if once and relevances:
        shown = [order[k] for k in shuffled.ids[1, : shuffled.length].tolist()]
        mine = plain.ids[1, : plain.length].tolist()
        assert [k for k, ok in zip(shown, sure, strict=True) if ok] == [
            k for k, ok in zip(mine, sure, strict=True) if ok
        ]


@given(shortlistings(nan_share=0))
def test_everyone_eligible_is_shortlisted_or_in_the_rest(shortlisting):
    got = shortlist(shortlisting)
    assert (got.counts[6] > got.length) == (not math.isnan(got.rest[0]))
    assert math.isnan(got.rest[0]) == math.isnan(got.rest[1])
    assert (np.diff(got.counts[2:]) <= 0).all()


@given(log_odds)
@example(0.0)
@example(-1e308)
@example(math.inf)
@example(-math.inf)
def test_sigmoid_matches_oracle(x):
    assert math.isclose(scoring.sigmoid(x), naive.sigmoid(x), rel_tol=1e-15, abs_tol=1e-300)


def test_sigmoid_of_nan_is_nan():
    assert math.isnan(scoring.sigmoid(math.nan))


@given(log_odds, log_odds, st.sampled_from((0.0, 0.5, 3.0, 100.0)))
@example(8.0, -8.0, 3.0)
@example(-8.0, 8.0, 3.0)
@example(math.inf, -math.inf, 3.0)
def test_the_ceiling_is_above_the_relevance_and_near(x_complete, x_annoyed, cost):
    exact = naive.relevance_ceiling(x_complete, x_annoyed, cost)
    p_complete, p_annoyed = (np.float32(naive.sigmoid(x)) for x in (x_complete, x_annoyed))
    as_computed = np.float32(float(p_complete) - cost * float(p_annoyed))
    ceiling = scoring.relevance_ceiling(x_complete, x_annoyed, cost)
    assert max(exact, as_computed) <= ceiling <= exact + 0.008 * (1 + cost)


def test_the_ceiling_of_nan_is_a_number():
    for x in ((math.nan, 0.0), (0.0, math.nan), (math.nan, math.nan)):
        assert math.isfinite(scoring.relevance_ceiling(*x, 3.0))


f4 = st.floats(-1e3, 1e3, width=32)


@given(st.integers(0, 70).flatmap(lambda d: st.lists(st.tuples(f4, f4), min_size=d, max_size=d)))
def test_dot_matches_oracle(pairs):
    taste, vector = (np.array([pair[i] for pair in pairs], np.float32) for i in (0, 1))
    got = scoring.dot(taste, vector.reshape(1, -1), 0)
    magnitude = float(np.abs(taste.astype(float) * vector).sum())
    exact = naive.dot(taste.tolist(), [vector.tolist()], 0)
    assert abs(got - exact) <= 1e-6 * magnitude + 1e-12


@given(shortlistings(nan_share=0), st.integers(0, 2**64 - 1))
def test_block_matches_oracle(shortlisting, bits):
    vectors, heads, _, starts, _, taste, weights, *_ = shortlisting.arguments()
    assume(len(vectors))
    plain = [array.tolist() for array in (vectors, heads, taste, weights)]
    for k, campaign in enumerate(shortlisting.campaigns):
        first, length = int(starts[k]), min(len(campaign.variants), 64)
        admitted = np.uint64(bits & (2**length - 1))
        scores, expected = np.full((4, 64), 7.7), [[7.7] * 64 for _ in range(4)]
        log_dose = math.log1p(campaign.dose)
        scoring.score_block(
            first, length, admitted, log_dose, vectors, heads, taste, weights, scores
        )
        naive.score_block(first, length, admitted, log_dose, *plain, expected)
        for i in range(length):
            if int(admitted) >> i & 1:
                mine, theirs = scores[:, i], [row[i] for row in expected]
                np.testing.assert_allclose(mine[:3], theirs[:3], rtol=1e-9, atol=1e-9)
                assert mine[3] >= theirs[3]
