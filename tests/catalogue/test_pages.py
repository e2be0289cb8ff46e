"""A click finds the page of its own variant, now or in the catalogue of its time."""

from adserver.catalogue.pages import PastPages, page_of
from adserver.domain.viewer import key32
from tests.catalogue.documents import StubClock, campaign, encoded, open_at, variant

NOW_MS = 1_795_300_503_000
SPRING = key32("creative", "spring-film")


def page(name):
    return f"https://shop.example/{name}"


def spring(*names):
    return encoded(campaign("spring", *(variant(name, click_url=page(name)) for name in names)))


def test_variants_of_one_creative_have_pages_of_their_own(tmp_path):
    versions = open_at(tmp_path)
    versions.publish_catalogue(spring("a", "b", "c"), None)
    columns = versions.load_snapshot()
    assert [page_of(columns, SPRING, name) for name in "abc"] == [page(name) for name in "abc"]
    assert page_of(columns, SPRING, "d") is None
    assert page_of(columns, key32("creative", "other"), "a") is None


def test_the_catalogues_around_a_decision_are_looked_in(tmp_path):
    clock = StubClock(NOW_MS)
    versions = open_at(tmp_path, clock)
    times = []
    for names in ("a", "b", "c", "d"):
        versions.publish_catalogue(spring(*names), None)
        times.append(clock.time_ms)
        clock.time_ms += 10_000
    past = PastPages(versions)
    found = {name: past.find(name, times[1] + 5_000) for name in "abcd"}
    assert found["a"] == page("a"), "a worker that had not followed yet"
    assert found["c"] == page("c"), "a clock that was behind"
    assert (found["b"], found["d"]) == (page("b"), None)
    assert past.find("a", times[0] - 1) == page("a")
    assert past.find("d", times[3] + 10**9) == page("d")
