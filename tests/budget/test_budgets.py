"""What a worker asks while it serves one snapshot."""

import msgspec
import numpy as np
import pytest

from adserver.budget.budgets import Budgets
from adserver.budget.ledger import RESERVATION_MS_MIN, Ledger
from kernels.ledger import BUCKET_MS
from tests.budget.days import PRICE, START_MS, terms

NOW_MS = START_MS + 1000


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.tidy(NOW_MS)
    yield ledger
    ledger.close()


def test_campaigns_without_a_budget_cost_nothing_and_are_always_open(ledger):
    budgets = Budgets(ledger, terms(2, impressions=[0, 1], even=False), NOW_MS)
    assert all(budgets.reserve(0, NOW_MS) for _ in range(5))
    budgets.release(0, NOW_MS)
    assert budgets.bill(0) == (0, 0)
    assert budgets.unbudgeted.tolist() == [1.0, 0.0]
    assert ledger.header["rows"] == 1
    assert not ledger.accounts["reservations"].any()


def test_a_campaign_whose_impressions_are_free_has_no_budget_to_spend(ledger):
    free = msgspec.structs.replace(terms(1, impressions=1), bid_cpm_micros=np.zeros(1, np.int64))
    budgets = Budgets(ledger, free, NOW_MS)
    assert budgets.reserve(0, NOW_MS)
    assert ledger.header["rows"] == 0


def test_exactly_as_many_as_the_budget_buys_whatever_the_bid(ledger):
    # 4.5005 a thousand: no whole micros an impression, and 2,221 of them for 9.9956.
    odd = msgspec.structs.replace(
        terms(1, impressions=1, even=False),
        bid_cpm_micros=np.array([4_500_500]),
        total_micros=np.array([9_999_999]),
    )
    budgets = Budgets(ledger, odd, NOW_MS)
    shown = 0
    while budgets.reserve(0, NOW_MS):
        shown += 1
    assert shown == 9_999_999_000 // 4_500_500 == 2221


def test_a_refused_campaign_is_closed_until_the_ledger_has_room_again(ledger):
    budgets = Budgets(ledger, terms(1, impressions=1, even=False), NOW_MS)
    assert budgets.pace.tolist() == [1.0]
    assert budgets.reserve(0, NOW_MS)
    assert not budgets.reserve(0, NOW_MS)
    assert budgets.pace.tolist() == [0.0]
    later_ms = NOW_MS + RESERVATION_MS_MIN + 2 * BUCKET_MS
    ledger.tidy(later_ms)
    budgets.refresh(later_ms)
    assert budgets.pace.tolist() == [1.0]


def test_another_snapshot_goes_on_with_the_same_accounts(ledger):
    before = Budgets(ledger, terms(3, impressions=2, even=False), NOW_MS)
    assert before.reserve(2, NOW_MS)
    moved = terms(3, impressions=2, even=False)
    moved = msgspec.structs.replace(moved, campaigns=moved.campaigns[::-1])
    after = Budgets(ledger, moved, NOW_MS)
    assert after.bill(0) == before.bill(2)
    assert after.reserve(0, NOW_MS)
    assert not after.reserve(0, NOW_MS)
    key, price = before.bill(2)
    for _ in range(2):
        assert not ledger.settle(key, NOW_MS, price)
    assert ledger.accounts["spent"].sum() == 2 * PRICE


def test_both_limits_hold(ledger):
    budgets = Budgets(ledger, terms(2, impressions=[5, 3], daily=[3, 5], even=False), NOW_MS)
    for campaign in (0, 1):
        assert sum(budgets.reserve(campaign, NOW_MS) for _ in range(9)) == 3


def test_the_pace_is_the_planned_one_and_says_whether_it_matters(ledger):
    budgets = Budgets(ledger, terms(2, impressions=1, even=False), NOW_MS)
    assert not budgets.holds_back
    assert [budgets.reserve(0, NOW_MS) for _ in range(2)] == [True, False]
    assert budgets.holds_back
    paced = Budgets(ledger, terms(2, daily=5), NOW_MS)
    rows = ledger.accounts
    rows["ceiling_day"][:2] = NOW_MS // 86_400_000
    rows["pace"][:2] = [0.25, 1.0]
    paced.refresh(NOW_MS)
    assert paced.holds_back
    assert paced.pace.tolist() == [0.25, 1.0]


def test_who_cannot_pay_is_closed_before_anybody_is_chosen(ledger):
    budgets = Budgets(ledger, terms(3, impressions=[1, 0, 2], even=False), NOW_MS)
    everyone = np.arange(3, dtype=np.int32)
    assert not budgets.close_full(everyone, NOW_MS)
    assert not budgets.holds_back
    for campaign in everyone.tolist():
        assert budgets.reserve(campaign, NOW_MS)
    assert budgets.close_full(everyone, NOW_MS)
    assert budgets.pace.tolist() == [0.0, 1.0, 1.0]
    assert budgets.holds_back
    assert not budgets.close_full(everyone, NOW_MS), "each is closed once"
    budgets.release(0, NOW_MS)
    budgets.refresh(NOW_MS)
    assert budgets.pace.tolist() == [1.0, 1.0, 1.0]
