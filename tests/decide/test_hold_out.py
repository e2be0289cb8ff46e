"""The hold-out is the stated share of viewers, always the same ones, and grows by adding."""

from adserver.decide.hold_out import held_out, position

VIEWERS = [f"ml-{number}" for number in range(20_000)]


def held(share):
    return {viewer for viewer in VIEWERS if held_out(viewer, share)}


def test_the_share_is_that_of_viewers():
    # Four standard deviations of a binomial of 20,000.
    for share in (0.01, 0.1, 0.5):
        four_sd = 4 * (share * (1 - share) * len(VIEWERS)) ** 0.5
        assert abs(len(held(share)) - share * len(VIEWERS)) < four_sd


def test_nobody_and_everybody():
    assert not held(0.0)
    assert len(held(1.0)) == len(VIEWERS)
    assert all(0.0 <= position(viewer) < 1.0 for viewer in VIEWERS)


def test_a_larger_share_keeps_who_was_in():
    assert held(0.01) < held(0.02) < held(0.2)


def test_who_is_in_never_changes():
    assert sorted(held(0.0001)) == ["ml-11194", "ml-1400", "ml-18878", "ml-9790"]
    assert position("ml-1") == 0.5762478337400975
