"""What is pending is counted once, by all processes together, and lapses."""

import pytest

from adserver.domain.viewer import PENDING_S, Impression
from adserver.runtime.clock import SystemClock
from adserver.viewer.codec import impression_words
from adserver.viewer.pending import LIFE_MS, Pending, keys_of
from kernels.pending import LOCK, N_ENTRIES
from tests.apart import at_once
from tests.viewer.racer import take_last_places

KEY = bytes(range(32))
NOW_MS = 1_790_000_000_000
ONE = Impression(PENDING_S, 0xFFFFFFFF, 5)
OTHER = Impression(PENDING_S, 7, 0xFFFFFFFE, surprise=True)


@pytest.fixture
def pending(tmp_path):
    return Pending(tmp_path / "run" / "pending", KEY, SystemClock())


def claim(pending, viewer, shown, now_ms=NOW_MS):
    return claim_at(pending, pending.look(viewer, now_ms), shown, now_ms)


def claim_at(pending, glance, shown, now_ms=NOW_MS):
    keys = keys_of(shown.campaign, shown.creative)
    return pending.claim(glance, keys, surprise=shown.surprise, now_ms=now_ms)


def shown_to(pending, viewer, now_ms=NOW_MS):
    return pending.look(viewer, now_ms).shown


def test_what_is_claimed_is_seen_by_every_process_until_it_lapses(pending, tmp_path):
    elsewhere = Pending(tmp_path / "run" / "pending", KEY, SystemClock())
    for shown in (ONE, OTHER, ONE):
        assert claim(pending, "ml-1", shown)
    assert sorted(shown_to(elsewhere, "ml-1"), key=repr) == sorted([ONE, ONE, OTHER], key=repr)
    assert shown_to(elsewhere, "ml-2") == ()
    assert len(shown_to(pending, "ml-1", NOW_MS + LIFE_MS - 1)) == 3
    assert shown_to(pending, "ml-1", NOW_MS + LIFE_MS) == ()


def test_the_table_outlives_its_processes_and_holds_no_id(pending, tmp_path):
    claim(pending, "ml-1-who-is-somebody", ONE)
    raw = (tmp_path / "run" / "pending").read_bytes()
    assert any(raw)
    assert b"somebody" not in raw
    del pending
    again = Pending(tmp_path / "run" / "pending", KEY, SystemClock())
    assert shown_to(again, "ml-1-who-is-somebody") == (ONE,)
    assert (
        shown_to(
            Pending(tmp_path / "run" / "pending", KEY[::-1], SystemClock()), "ml-1-who-is-somebody"
        )
        == ()
    )


def test_a_claim_after_another_is_refused(pending):
    glance = pending.look("ml-1", NOW_MS)
    assert claim(pending, "ml-1", ONE)
    assert not claim_at(pending, glance, ONE)
    assert shown_to(pending, "ml-1") == (ONE,)


def test_what_was_heard_of_counts_no_more(pending):
    claim(pending, "ml-1", ONE)
    claim(pending, "ml-1", ONE)
    pending.heard_of("ml-1", ONE, NOW_MS, NOW_MS + 1)
    assert shown_to(pending, "ml-1") == (ONE,)
    pending.heard_of("ml-1", OTHER, NOW_MS, NOW_MS + 1)
    pending.heard_of("ml-2", ONE, NOW_MS, NOW_MS + 1)
    assert shown_to(pending, "ml-1") == (ONE,)


def test_an_impression_that_comes_late_takes_nobody_elses_place(pending):
    claim(pending, "ml-1", ONE, NOW_MS)
    later_ms = NOW_MS + LIFE_MS
    claim(pending, "ml-1", ONE, later_ms)
    pending.heard_of("ml-1", ONE, NOW_MS, later_ms)
    assert len(shown_to(pending, "ml-1", later_ms)) == 1


def test_what_is_given_back_was_never_shown(pending):
    glance = pending.look("ml-1", NOW_MS)
    claim_at(pending, glance, ONE)
    keys = keys_of(ONE.campaign, ONE.creative)
    pending.give_back(glance, keys, surprise=ONE.surprise, now_ms=NOW_MS)
    assert shown_to(pending, "ml-1") == ()


def test_more_than_fits_forgets_the_oldest(pending):
    for number in range(N_ENTRIES + 1):
        at_ms = NOW_MS + 1000 * (number > 0)
        assert claim(pending, "ml-1", Impression(0, 1, number), at_ms)
    kept = {shown.creative for shown in shown_to(pending, "ml-1", NOW_MS + 1000)}
    assert kept == set(range(1, N_ENTRIES + 1))


def test_a_bucket_whose_holder_was_killed_is_passed_over_for_a_second(pending):
    claim(pending, "ml-1", ONE)
    glance = pending.look("ml-1", NOW_MS)
    pending._words[glance.at + LOCK] = NOW_MS  # noqa: SLF001  (what a killed process leaves)
    assert pending.look("ml-1", NOW_MS + 1000) is None
    assert not claim_at(pending, glance, OTHER, NOW_MS + 1000)
    pending.heard_of("ml-1", ONE, NOW_MS, NOW_MS)
    assert pending.look("ml-1", NOW_MS + 1001).shown == (ONE,)


def test_where_nothing_counts_any_more_no_lock_is_asked_for(pending):
    claim(pending, "ml-1", ONE)
    glance = pending.look("ml-1", NOW_MS)
    pending._words[glance.at + LOCK] = NOW_MS + LIFE_MS  # noqa: SLF001
    late = pending.look("ml-1", NOW_MS + LIFE_MS)
    assert late.shown == ()
    assert late.stamp == glance.stamp, "and a claim still says what it was looked at"


def test_of_processes_that_all_want_the_last_place_one_gets_it(tmp_path):
    path = tmp_path / "pending"
    ended = at_once(*[(take_last_places, (path, KEY, 20_000, NOW_MS))] * 3)
    assert sum(each.answer for each in ended) == 20_000
    counts = [
        len(shown_to(Pending(path, KEY, SystemClock()), f"ml-{number}"))
        for number in range(0, 20_000, 500)
    ]
    assert set(counts) == {1}


def test_words_are_those_of_a_record_that_holds_what_is_pending(pending):
    surprising = Impression(PENDING_S, 2**32 - 1, 9, surprise=True)
    for shown in (ONE, ONE, OTHER, surprising):
        assert claim(pending, "ml-1", shown)
    glance = pending.look("ml-1", NOW_MS)
    assert glance.words((), every=True) == impression_words(glance.shown)[1:]
    surprises = [each for each in glance.shown if each.surprise]
    assert glance.words((), every=False) == impression_words(surprises)[1:]
    assert len(surprises) == 2
    limited = {ONE.campaign}
    held = [each for each in glance.shown if each.surprise or each.campaign in limited]
    assert glance.words(limited, every=False) == impression_words(held)[1:]
