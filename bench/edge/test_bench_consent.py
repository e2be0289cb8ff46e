"""Consent strings: the usual ones remembered, and the worst of every kind read for the first time.

The bounds are those the gate was built to: 100 µs for any input up to the cap, 5 µs amortised. They
are asserted over the minimum of many, as a shared machine only ever adds.
"""

import time
from itertools import cycle

import pytest

from adserver.domain.request import Consent
from adserver.edge import consent, gpp, tcf
from adserver.edge.consent import judge
from adserver.edge.tcf import READ_LENGTH_MAX
from tests.edge import encoded

WORST_US = 100.0
AMORTISED_US = 5.0
SLACK = 5
"""Where tests share their cores; strings that cost more by an order are found all the same."""
VENDOR = 7
USUAL = encoded.tc_string(
    consents=range(1, 12), features={1}, vendor_consents=range(1, 1200, 3), vendor_interests={7, 9}
)

RESTRICTION = encoded.number(2, 6) + "00" + encoded.ranges({5})


def _filled(bits, piece, count_at, length=READ_LENGTH_MAX):
    """As many pieces as fit, and their number where it belongs."""
    room = 6 * length - len(bits)
    count = min(room // len(piece), 4095)
    bits = bits[:count_at] + encoded.number(count, 12) + bits[count_at + 12 :]
    return encoded.text_of(bits + piece * count)


def _worst_tcf():
    """Strings of the greatest length that is looked at."""
    empty = encoded.core()
    ranges = empty[:-29] + "1" + encoded.number(0, 12)  # vendors of legitimate interest
    ranges = ranges[:-29] + encoded.number(65_535, 16) + ranges[-13:]
    a_range = "1" + encoded.number(1, 16) + encoded.number(65_535, 16)
    few = encoded.tc_string()
    return {
        "restrictions": _filled(empty, RESTRICTION, len(empty) - 12),
        "ranges without end": _filled(ranges, a_range, len(ranges) - 12),
        "one long bitfield": encoded.tc_string(vendor_consents={24_000}),
        "noise": "C" + "x" * (READ_LENGTH_MAX - 1),
        "dots": (few + ".") + "." * (READ_LENGTH_MAX - len(few) - 1),
        "not base64 at the end": "C" * (READ_LENGTH_MAX - 1) + "!",
    }


def _every_section():
    """Write every section there is."""
    sections = {
        each: encoded.text_of(encoded.number(1, 6) + "10" * layout.fields) + ".QA"
        for (each, version), layout in gpp.LAYOUTS.items()
        if version == 1
    }
    return sections | {2: USUAL}


WORST_TCF = _worst_tcf()
WORST_GPP = {
    "every section": encoded.gpp(_every_section()),
    "tildes": "DBABLA" + "~" * (READ_LENGTH_MAX - 6),
    "a long header": "DB" + "_" * (READ_LENGTH_MAX - 2),
    "a long section": "DBABLA~B" + "A" * (READ_LENGTH_MAX - 8),
}


def slack(benchmark):
    """Return by how much a bound may be missed: not at all, but in a test run among others."""
    return SLACK if benchmark.disabled else 1


def least_us(call, times=200):
    """Return the quickest of many."""
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter_ns()
        call()
        best = min(best, time.perf_counter_ns() - began)
    return best / 1000


@pytest.mark.parametrize("name", WORST_TCF)
def test_the_worst_tcf(benchmark, name):
    benchmark.group = "TCF, the first time"
    text = WORST_TCF[name]
    assert len(text) <= READ_LENGTH_MAX
    assert (tcf.decode(text, VENDOR) is not None) is (name in {"restrictions", "one long bitfield"})
    assert least_us(lambda: tcf.decode(text, VENDOR)) <= WORST_US * slack(benchmark)
    benchmark(tcf.decode, text, VENDOR)


@pytest.mark.parametrize("name", WORST_GPP)
def test_the_worst_gpp(benchmark, name):
    benchmark.group = "GPP, the first time"
    text = WORST_GPP[name]
    assert (gpp.decode(text) is not None) is (name == "every section")
    assert least_us(lambda: gpp.decode(text)) <= WORST_US * slack(benchmark)
    benchmark(gpp.decode, text)


def test_everything_at_once(benchmark):
    """Both strings, as long as they may be together."""
    benchmark.group = "the gate"
    room = READ_LENGTH_MAX - len(WORST_GPP["every section"])
    worst = _filled(encoded.core(), RESTRICTION, len(encoded.core()) - 12, room)
    both = Consent(tcf=worst, gpp=WORST_GPP["every section"])
    weigh = consent._weigh.__wrapped__  # noqa: SLF001  (without its memory)
    assert weigh(both, False, 0).valid  # noqa: FBT003
    assert least_us(lambda: weigh(both, False, 0)) <= WORST_US * slack(benchmark)  # noqa: FBT003
    benchmark(weigh, both, False, 0)  # noqa: FBT003


def test_a_string_seen_before(benchmark):
    benchmark.group = "the gate"
    texts = [
        encoded.tc_string(consents=range(1, 12), vendor_consents=range(1, 600 + i, 3))
        for i in range(100)
    ]
    signals = cycle([Consent(gdpr=True, tcf=text) for text in texts])

    def hundred():
        for _ in range(100):
            judge(next(signals), header_opt_out=False, vendor=0)

    assert judge(next(signals), header_opt_out=False, vendor=0).valid
    assert least_us(hundred, 20) / 100 <= AMORTISED_US * slack(benchmark)
    benchmark(hundred)


def test_the_usual_string_for_the_first_time(benchmark):
    benchmark.group = "TCF, the first time"
    assert tcf.decode(USUAL, VENDOR).grants(4)
    benchmark(tcf.decode, USUAL, VENDOR)
