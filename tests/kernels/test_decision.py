"""The decision in one call: as the oracles of its steps, called one after another."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import decision, frame
from kernels.choice import NOTHING
from tests.kernels.generated import choice_settings, frozen, randoms, shortlistings
from tests.kernels.test_dosage import catalogues_of, half_lives_s, states
from tests.kernels.test_record import NOW_MS, record_of
from tests.kernels.test_separation import lately
from tests.naive import decision as naive

CREATIVES = 12


@dataclass
class Asked:
    """A frame's arrays by name, and what one request adds to them."""

    arrays: dict[str, np.ndarray]
    inputs: tuple[np.ndarray, ...]

    def decide(self):
        """Return what the kernel returns and fills."""
        arrays = self.arrays | {"value_bits": self.arrays["values"].view(np.int32)}
        chosen = decision.decide_request(frame.make_frame(arrays), *self.inputs)
        return chosen, self.arrays

    def expected(self):
        """Return what the oracle returns and fills."""
        lists = {name: array.tolist() for name, array in self.arrays.items()}
        chosen = naive.decide_request(lists, *[array.tolist() for array in self.inputs])
        return chosen, {name: np.array(rows) for name, rows in lists.items()}


@st.composite
def asked(draw):
    """Join a generated catalogue, viewer, targeting and policy. Long because it names all."""
    shortlisting = draw(shortlistings(nan_share=0))
    random = draw(randoms)
    columns = shortlisting.arguments()
    vectors, heads, variants, starts, in_flight, taste, weights, fits, _, closed, *_ = columns
    n = len(shortlisting.campaigns)
    keyed = draw(catalogues_of(n, CREATIVES))
    dose_part, *settings, chance = draw(choice_settings()).tolist()
    bitmaps = [[random.getrandbits(64) for _ in in_flight] for _ in range(3)]
    rival_rows = [random.choice(((), (), (2,), (0, 1))) for _ in range(n)]
    arrays = {
        "bitmaps": frozen(bitmaps, np.uint64, (3, len(in_flight))),
        "in_flight": in_flight,
        "matched": np.zeros_like(in_flight),
        "viewer_caps": frozen([(draw(st.integers(2, 9)), 86_400)], np.int64),
        **keyed,
        "rivals": frozen([row for rows in rival_rows for row in rows], np.int32),
        "rival_start": frozen(np.cumsum([0, *map(len, rival_rows)]), np.int32),
        "campaign_flags": np.zeros(n, np.uint8),
        "creative_flags": np.zeros(CREATIVES, np.uint8),
        "campaign_dose": np.zeros(n, np.float32),
        "touched": np.zeros(2 + n + CREATIVES, np.int32),
        "viewer": np.zeros(3),
        "vectors": vectors,
        "heads": heads,
        "variants": variants,
        "campaign_start": starts,
        "weights": weights.copy(),
        "ids": np.zeros((3, shortlisting.k_max), np.int32),
        "values": np.zeros((8, shortlisting.k_max), np.float32),
        "counts": np.zeros(7, np.int64),
        "rest": np.zeros(2),
        "campaign_values": frozen(
            [[random.randint(-8, 8) / 16, random.choice((0, 10**6, 10**7))] for _ in range(n)],
            np.float64,
            (n, 2),
        ).T.copy(),
        "campaign_times": frozen(
            [[random.choice((0, 0, 1, 1000)), 0, 0] for _ in range(n)], np.int64, (n, 3)
        ).T.copy(),
        "settings": np.zeros(7),
        "result": np.zeros(8),
        "held": np.zeros(n, np.uint8),
        "held_back": np.zeros(4, np.int32),
        "stranger": np.zeros(len(taste), np.float32),
        "packed": np.full(11 * shortlisting.k_max, 7, np.int32),
        "numbers": np.full(decision.N_NUMBERS, 7),
        "outcome": np.full(decision.N_OUTCOME, 7.7),
        "flags": np.full(decision.N_FLAGS, 7, np.uint8),
    }
    arrays["request"] = frozen(
        (
            NOW_MS,
            draw(st.sampled_from((-0.5, 0.0, 1.0))),
            draw(st.sampled_from((-2.0, 0.0))),
            draw(st.sampled_from((-math.inf, -0.25, 0.25))),
            chance,
            draw(st.sampled_from((-1.0, 0.0, 0.4))),
            draw(half_lives_s),
            3600.0,
            dose_part,
            *settings,
            draw(st.integers(0, 2)),
        ),
        np.float64,
    )
    refused = draw(st.sampled_from(((), (2,))))
    row_start, rows = (0, 2), (0, 1)
    wanted = frozen([len(row_start), len(refused), *row_start, *refused, *rows], np.int32)
    pace = frozen([random.choice((0.0, 0.5, 1.0)) for _ in range(n)], np.float32)
    return Asked(arrays, (draw(records(taste)), wanted, fits, closed, pace))


@st.composite
def records(draw, taste):
    """Draw a record in this space or another one, whole or damaged, or none at all."""
    kind = draw(st.sampled_from(("whole", "whole", "whole", "other", "none", "damaged")))
    if kind == "none":
        return frozen([], np.uint32)
    record = record_of(
        [*taste, 1.0] if kind == "other" else taste,
        draw(st.one_of(states, lately)),
        opted_out=draw(st.sampled_from((0, 0, 1))),
        age_ms=draw(st.sampled_from((-5000, 0, 1_800_000, 7_200_000))),
        weights=draw(st.sampled_from(((0.0, 0.0), (0.5, -0.25)))),
    )
    if kind != "damaged":
        return record
    return frozen(record[: draw(st.integers(1, len(record)))], np.uint32)


@given(asked())
def test_matches_oracle(some):
    expected_chosen, expected = some.expected()
    chosen, got = some.decide()
    assert chosen == expected_chosen
    for name in ("numbers", "flags"):
        assert got[name].tolist() == expected[name].tolist()
    np.testing.assert_allclose(got["outcome"], expected["outcome"], rtol=1e-5, atol=1e-6)
    length = int(got["numbers"][decision.LENGTH])
    assert got["ids"][:, :length].tolist() == expected["ids"][:, :length].tolist()
    listed = min(int(got["numbers"][decision.N_HELD_BACK]), len(got["held_back"]))
    assert got["held_back"][:listed].tolist() == expected["held_back"][:listed].tolist()
    for name in ("values", "counts"):
        mine, theirs = got[name][..., :length], expected[name][..., :length]
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    packed = got["packed"][: 11 * length].reshape(11, -1)
    assert packed[:3].tolist() == got["ids"][:, :length].tolist()
    np.testing.assert_array_equal(packed[3:].view(np.float32), got["values"][:, :length])
    assert (got["packed"][11 * length :] == 7).all()
    if chosen == NOTHING:
        assert got["outcome"][decision.OUT_P_CHOSEN] == got["outcome"][decision.OUT_P_NOTHING]


@given(asked(), st.one_of(states, lately))
def test_nothing_of_one_request_is_left_for_the_next(some, other):
    def outcome():
        arrays = some.decide()[1]
        return {name: arrays[name].copy() for name in ("numbers", "outcome", "flags")}

    fresh = outcome()
    _, *rest = some.inputs
    taste = np.ones(len(some.arrays["stranger"]), np.float32)
    Asked(some.arrays, (record_of(taste, other, weights=(9.0, 9.0)), *rest)).decide()
    np.testing.assert_equal(outcome(), fresh)


@pytest.mark.parametrize(
    ("name", "wrong", "complaint"),
    [
        ("rest", None, "needs the array 'rest'"),
        ("rest", np.zeros(2, np.float32), "'rest' must be"),
        ("rest", np.zeros((2, 1)), "'rest' must be"),
        ("values", np.zeros((8, 64), np.float32)[:, ::2], "'values' must be"),
    ],
)
def test_a_frame_refuses_what_a_kernel_would_misread(name, wrong, complaint):
    arrays = {each: np.zeros((2,) * n, dtype) for each, dtype, n in frame.FIELDS}
    frame.make_frame(arrays)
    if wrong is None:
        del arrays[name]
    else:
        arrays[name] = wrong
    with pytest.raises(ValueError, match=complaint):
        frame.make_frame(arrays)
