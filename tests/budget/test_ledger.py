"""The ledger as a file: shared by processes, none of which can harm it by dying."""

from pathlib import Path

import numpy as np
import pytest

from adserver.budget.ledger import (
    ACCOUNT,
    HEADER,
    LIFE_BUCKETS,
    RESERVATION_MS_MIN,
    Ledger,
    account_key,
)
from adserver.domain.errors import Broken
from kernels import ledger as money
from kernels import plan
from kernels.ledger import BUCKET_MS, DAY_MS, NO_LIMIT, UNPACED
from tests.apart import at_once
from tests.budget import hammer
from tests.budget.days import START_MS

NOW_MS = START_MS + 12 * 3_600_000
KEY = 7
PRICE = 3


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.tidy(NOW_MS)
    yield ledger
    ledger.close()


def reserve(ledger, now_ms=NOW_MS, total=NO_LIMIT, day=NO_LIMIT):
    return ledger.reserve(int(ledger.slots([KEY])[0]), now_ms, PRICE, total, day, UNPACED)


def row(ledger, key=KEY):
    return ledger.accounts[int(ledger.slots([key])[0])]


def test_names_and_kernel_constants_are_the_same_words():
    words = {name: offset // 8 for name, (_, offset) in ACCOUNT.fields.items()}
    assert (ACCOUNT.itemsize, HEADER.itemsize) == (
        8 * money.ACCOUNT_WORDS,
        8 * money.HEADER_WORDS,
    )
    for name in (
        "committed", "spent", "late", "released", "reservations", "ceiling", "ceiling_day",
        "day_committed", "day_spent", "buckets",
    ):  # fmt: skip
        assert words[name] == getattr(money, name.upper()), name
    for name in (
        "pace", "demand", "reservations_seen", "spent_seen", "released_seen", "period",
        "since_committed", "since_ms",
    ):  # fmt: skip
        assert words[name] == getattr(plan, name.upper()), name
    assert [words["outcomes"], words["outcomes"] + 1] == [plan.PLAYED, plan.LAPSED]
    header = {name: offset // 8 for name, (_, offset) in HEADER.fields.items()}
    for name in ("swept", "day_of"):
        assert header[name] == getattr(money, name.upper()), name
    # A reservation must have ended before the ring comes round to its bucket.
    assert LIFE_BUCKETS + 2 < money.N_BUCKETS
    assert DAY_MS % BUCKET_MS == 0


def test_processes_that_hammer_one_budget_overspend_nothing_and_leave_nothing(ledger, tmp_path):
    limit = PRICE * 20_000 + 2
    ended = at_once(*[(hammer.spend_all, (tmp_path, NOW_MS, limit))] * 4)
    assert [each.exit_code for each in ended] == [0, 0, 0, 0]
    account = row(ledger)
    assert account["spent"] == account["committed"] == PRICE * 20_000
    assert sum(each.answer for each in ended) == 20_000
    assert account["day_spent"].sum() == account["spent"]
    assert account["late"] == account["buckets"].sum() == 0


def test_reservations_of_a_killed_process_end_by_themselves(ledger, tmp_path):
    (dead,) = at_once((hammer.hold_and_die, (tmp_path, NOW_MS, PRICE * 300)))
    assert dead.exit_code == -9
    assert not reserve(ledger, total=PRICE * 300)
    ledger.tidy(NOW_MS + RESERVATION_MS_MIN - 1)
    assert not reserve(ledger, total=PRICE * 300)
    later_ms = NOW_MS + RESERVATION_MS_MIN + 2 * BUCKET_MS
    ledger.tidy(later_ms)
    account = row(ledger)
    assert account["committed"] == account["spent"] == PRICE * 100
    assert account["day_committed"].sum() == PRICE * 100
    assert account["released"] == PRICE * 200
    assert reserve(ledger, later_ms, total=PRICE * 300)


def test_kill_keeps_what_was_spent_and_what_is_reserved(tmp_path):
    first = Ledger(tmp_path)
    first.tidy(NOW_MS)
    first.close()
    at_once((hammer.hold_and_die, (tmp_path, NOW_MS, PRICE * 30)))
    after = Ledger(tmp_path)
    assert row(after)["spent"] == PRICE * 10
    assert row(after)["committed"] == PRICE * 30
    # The players may still report what was shown just before.
    assert not after.settle(KEY, NOW_MS, PRICE)
    assert row(after)["late"] == 0
    after.close()


def test_who_opens_it_alone_puts_right_what_was_left_half_done(ledger, tmp_path):
    for _ in range(3):
        assert reserve(ledger)
    ledger.settle(KEY, NOW_MS, PRICE)
    row(ledger)["committed"] += PRICE
    row(ledger)["day_committed"][NOW_MS // DAY_MS % 4] += PRICE
    beside = Ledger(tmp_path)
    assert row(beside)["committed"] == 4 * PRICE  # somebody may be in the middle of it
    beside.close()
    ledger.close()
    alone = Ledger(tmp_path)
    assert row(alone)["committed"] == row(alone)["day_committed"].sum() == 3 * PRICE
    alone.close()


def test_an_impression_later_than_its_reservation_is_spent_on_top_and_told(ledger):
    assert reserve(ledger, total=PRICE)
    late_ms = NOW_MS + RESERVATION_MS_MIN + 2 * BUCKET_MS
    ledger.tidy(late_ms)
    assert reserve(ledger, late_ms, total=PRICE)
    assert ledger.settle(KEY, NOW_MS, PRICE)
    assert not ledger.settle(KEY, late_ms, PRICE)
    account = row(ledger)
    # The stated bound: one impression for each that came late.
    assert account["spent"] == account["committed"] == 2 * PRICE
    assert account["late"] == PRICE


def test_a_reservation_across_midnight_is_paid_by_the_day_of_the_decision(ledger):
    midnight_ms = START_MS + DAY_MS
    ledger.tidy(midnight_ms - 1000)
    assert reserve(ledger, midnight_ms - 1, day=PRICE)
    assert not reserve(ledger, midnight_ms - 1, day=PRICE)
    # A new day without a tick in between: its cell was cleared ahead.
    assert reserve(ledger, midnight_ms, day=PRICE)
    ledger.tidy(midnight_ms + 1000)
    assert not ledger.settle(KEY, midnight_ms - 1, PRICE)
    assert not ledger.settle(KEY, midnight_ms, PRICE)
    yesterday, today = (midnight_ms // DAY_MS + offset for offset in (-1, 0))
    assert row(ledger)["day_spent"][yesterday % 4] == PRICE
    assert row(ledger)["day_spent"][today % 4] == PRICE
    assert not reserve(ledger, midnight_ms + 1000, day=PRICE)


def test_a_reservation_that_lapses_after_midnight_leaves_the_new_day_alone(ledger):
    midnight_ms = START_MS + DAY_MS
    ledger.tidy(midnight_ms - 1000)
    assert reserve(ledger, midnight_ms - 1)
    assert reserve(ledger, midnight_ms + 1000)
    ledger.tidy(midnight_ms + RESERVATION_MS_MIN)
    assert row(ledger)["day_committed"][midnight_ms // DAY_MS % 4] == PRICE
    assert row(ledger)["committed"] == PRICE


@pytest.mark.parametrize("pause_ms", [10 * 60_000, DAY_MS, 3 * DAY_MS, 30 * DAY_MS])
def test_after_a_pause_everything_is_cleared_on_the_way_of_the_first_request(ledger, pause_ms):
    assert reserve(ledger, day=PRICE)
    later_ms = NOW_MS + pause_ms
    assert reserve(ledger, later_ms, total=PRICE, day=2 * PRICE)
    account = row(ledger)
    assert account["committed"] == account["released"] == PRICE
    assert account["day_committed"][later_ms // DAY_MS % 4] == PRICE


def test_a_clock_that_ran_ahead_and_was_set_back_does_no_harm(ledger):
    assert reserve(ledger)
    ledger.tidy(NOW_MS + 40 * DAY_MS)
    ledger.tidy(NOW_MS)
    assert reserve(ledger, total=PRICE, day=PRICE)
    assert not ledger.settle(KEY, NOW_MS, PRICE)
    account = row(ledger)
    assert (account["spent"], account["committed"], account["late"]) == (PRICE, PRICE, 0)


def test_a_decision_that_is_not_answered_gives_its_reservation_back(ledger):
    assert reserve(ledger, total=PRICE)
    slot = int(ledger.slots([KEY])[0])
    ledger.release(slot, NOW_MS, PRICE)
    ledger.release(slot, NOW_MS, PRICE)  # there is nothing left to give back
    assert row(ledger)["committed"] == 0
    assert reserve(ledger, total=PRICE)


def test_accounts_are_for_ever_and_the_file_grows(ledger, tmp_path):
    beside = Ledger(tmp_path)
    assert reserve(ledger)
    keys = list(range(100, 100 + 2 * len(ledger.accounts)))
    slots = ledger.slots(keys)
    assert len(set(slots.tolist())) == len(keys)
    assert beside.slots(keys[::-1]).tolist() == slots.tolist()[::-1]
    last = int(slots[-1])
    assert ledger.reserve(last, NOW_MS, 5, 9, 9, UNPACED)
    assert not beside.reserve(last, NOW_MS, 5, 9, 9, UNPACED)
    assert not beside.settle(keys[-1], NOW_MS, 5)
    assert ledger.accounts["spent"][last] == 5
    assert row(beside)["committed"] == PRICE
    beside.close()


def test_processes_that_open_accounts_at_once_agree(ledger, tmp_path):
    ended = at_once(*[(hammer.open_accounts, (tmp_path, 1500))] * 3)
    assert [each.answer for each in ended] == [True] * 3
    assert ledger.header["rows"] == 1500


def test_money_for_an_account_that_never_was_is_passed_over(ledger):
    assert not ledger.settle(999, NOW_MS, PRICE)
    assert not ledger.accounts["spent"].any()


def test_keys_of_one_campaign_in_two_currencies_differ():
    keys = {account_key(name, currency) for name in (b"a", b"b") for currency in ("EUR", "USD")}
    assert len(keys) == 4
    assert all(0 < key < 2**63 for key in keys)


@pytest.mark.parametrize("damage", ["short", "format"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    Ledger(tmp_path).close()
    (path,) = tmp_path.glob("ledger-*")
    words = np.fromfile(path, np.int64)
    if damage == "short":
        words = words[:-1]
    else:
        words[0] = 99
    words.tofile(path)
    with pytest.raises(Broken, match="ledger-1 has"):
        Ledger(tmp_path)


def test_flushed_is_on_the_disk(ledger):
    assert reserve(ledger)
    ledger.flush()
    (path,) = Path(ledger._path.parent).glob("ledger-*")  # noqa: SLF001
    at = (HEADER.itemsize + 8 * money.COMMITTED) // 8
    assert np.fromfile(path, np.int64)[at] == PRICE
