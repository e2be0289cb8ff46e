"""Budgets on the way of a request: reserved with the answer, paid by the impression."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from adserver.budget.budgets import Budgets
from adserver.budget.ledger import RESERVATION_MS_MIN, Ledger, account_key
from adserver.journal.reader import JournalReader
from adserver.journal.schema import DecisionRow
from adserver.start import open_versions
from kernels.ledger import BUCKET_MS, NO_LIMIT, UNPACED
from tests.serve.small import Still, catalogue, publish, running, settings_of, variant
from tests.serve.test_server import ask, gone, served

PRICE_MICROS = 4000
PRICE = 1000 * PRICE_MICROS
KEY = account_key(b"trailers", "EUR")
DAY_MS = 86_400_000


@pytest.fixture
def settings(data):
    return settings_of(data)


def budgeted(impressions, *others, **fields):
    """Return a catalogue whose one campaign may buy so many impressions."""
    document = catalogue(
        **{"budget": {"total_micros": impressions * PRICE_MICROS}, "pacing": "asap"} | fields
    )
    return {**document, "campaigns": [*document["campaigns"], *others]}


def house(name="fallback"):
    creatives = [{"id": f"{name}-film", "variants": [variant(f"{name}-1", [0.1, 0.1])]}]
    return {"id": name, "advertiser": "films", "house": True, "creatives": creatives}


def account(ledger):
    return ledger.accounts[int(ledger.slots([KEY])[0])]


def tick(api, clock):
    engines = api.app.state.engines
    engines.spending.tick(engines.snapshots.current.budgets, clock.now_ms())


def metric(api, name):
    (line,) = [line for line in api.get("/metrics").text.splitlines() if line.startswith(name)]
    return float(line.split()[1])


def shown(answers):
    return sum(answer["action"] == "show" for answer in answers)


def rows(settings):
    return [
        row for row in JournalReader(settings.data / "journal").rows() if type(row) is DecisionRow
    ]


def test_as_many_as_the_budget_buys_then_the_reason_is_budget(settings):
    publish(settings, budgeted(5))
    with running(settings, clock=Still()) as api:
        answers = [api.decide() for _ in range(9)]
        assert [answer["action"] for answer in answers] == ["show"] * 5 + ["none"] * 4
        assert {(answer["reason"], answer["propensity"]) for answer in answers[5:]} == {
            ("budget", 1.0)
        }
    assert [row.throttled for row in rows(settings)] == [[]] * 5 + [[0]] * 4


def test_what_is_played_is_spent_once_and_the_rest_may_be_spent_again(settings):
    publish(settings, budgeted(5))
    clock = Still()
    with running(settings, clock=clock) as api:
        answers = [api.decide() for _ in range(6)]
        for answer in (*answers[:2], answers[0]):
            assert api.track(answer, "impression").status_code == 204
            assert api.track(answer, "complete").status_code == 204
        ledger = api.app.state.engines.spending.ledger
        assert account(ledger)["spent"] == 2 * PRICE
        clock.ms += RESERVATION_MS_MIN + 2 * BUCKET_MS
        tick(api, clock)
        assert shown(api.decide() for _ in range(6)) == 3
        # The one way to spend more: an impression of a decision made two minutes ago.
        assert api.track(answers[4], "impression").status_code == 204
        assert account(ledger)["committed"] == 6 * PRICE
        assert account(ledger)["late"] == PRICE
        assert metric(api, "adserver_impressions_late_total") == 1


@pytest.fixture(params=["seen before the draw", "within these microseconds"])
def refused_each(request, monkeypatch):
    """Return how many reservations each exhausted budget refuses: none once it was seen."""
    if request.param == "seen before the draw":
        return 0
    monkeypatch.setattr(Budgets, "close_full", lambda *_: False)
    return 1


def test_a_budget_that_ran_out_since_the_last_look_is_left_to_who_else_may_run(
    settings, refused_each
):
    publish(settings, budgeted(5, house()))
    clock = Still()
    with running(settings, clock=clock) as api:
        beside = Ledger(settings.data / "budgets")
        (slot,) = beside.slots([KEY]).tolist()
        assert beside.reserve(slot, clock.now_ms(), 5 * PRICE, 5 * PRICE, NO_LIMIT, UNPACED)
        answer = api.decide()
        assert (answer["action"], answer["campaign"]) == ("show", "fallback")
        assert answer["propensity"] == 1.0
        assert metric(api, "adserver_reservations_refused_total") == refused_each
        assert account(beside)["committed"] == 5 * PRICE
        beside.close()
    assert [row.throttled for row in rows(settings)] == [[0]]


def test_two_budgets_that_ran_out_at_once_leave_nothing_to_reserve(settings, refused_each):
    second = {**budgeted(5)["campaigns"][0], "id": "second"}
    second["creatives"] = [{"id": "third", "variants": [variant("third-1", [1.0, 1.0])]}]
    publish(settings, budgeted(5, second, house()))
    clock = Still()
    with running(settings, clock=clock) as api:
        beside = Ledger(settings.data / "budgets")
        for name in (b"trailers", b"second"):
            (slot,) = beside.slots([account_key(name, "EUR")]).tolist()
            assert beside.reserve(slot, clock.now_ms(), 5 * PRICE, 5 * PRICE, NO_LIMIT, UNPACED)
        assert api.decide()["campaign"] == "fallback"
        assert metric(api, "adserver_reservations_refused_total") == 2 * refused_each
        beside.close()


def test_an_answer_that_comes_too_late_gives_back_what_it_reserved(settings):
    publish(settings, budgeted(1))
    clock = Still()
    with running(settings, clock=clock) as api:
        clock.step_ns = 6_000_000
        assert api.decide(deadline_ms=10)["reason"] == "deadline"
        clock.step_ns = 0
        assert account(api.app.state.engines.spending.ledger)["released"] == PRICE
        assert api.decide()["action"] == "show"


def test_a_new_catalogue_goes_on_with_the_same_account_at_the_price_agreed(settings):
    publish(settings, budgeted(2))
    clock = Still()
    with running(settings, clock=clock) as api:
        engines = api.app.state.engines
        answer = api.decide()
        publish(settings, budgeted(3, bid_cpm_micros=8_000_000))
        assert engines.snapshots.refresh(clock.now_ms())
        assert api.decide()["action"] == "show"
        assert api.decide()["reason"] == "budget"
        assert api.track(answer, "impression").status_code == 204
        assert account(engines.spending.ledger)["spent"] == PRICE
        assert account(engines.spending.ledger)["committed"] == 3 * PRICE


def test_a_campaign_that_is_gone_still_pays_for_what_it_showed(settings):
    publish(settings, budgeted(2))
    clock = Still()
    with running(settings, clock=clock) as api:
        answer = api.decide()
        publish(settings, {**budgeted(2), "campaigns": [house()]})
        assert api.app.state.engines.snapshots.refresh(clock.now_ms())
        assert api.track(answer, "impression").status_code == 204
        assert account(api.app.state.engines.spending.ledger)["spent"] == PRICE


def test_an_even_daily_budget_is_not_spent_by_a_flood(settings):
    # Noon: half of the even day has passed, and the plan begins now.
    noon_ms = 1_790_000_000_000 // DAY_MS * DAY_MS + DAY_MS // 2
    publish(settings, budgeted(0, budget={"daily_micros": 100 * PRICE_MICROS}, pacing="even"))
    clock = Still(noon_ms)
    with running(settings, clock=clock) as api:
        assert shown(api.decide() for _ in range(40)) == 6  # 5 % of the day and one
        clock.ms += 3_600_000
        tick(api, clock)
        # Those were never played and have lapsed; a twelfth of the time left has passed.
        assert shown(api.decide() for _ in range(40)) == 14
        clock.ms += DAY_MS
        assert api.decide()["reason"] == "budget"  # not before there is a plan for the day
        tick(api, clock)
        assert api.decide()["action"] == "show"


def test_two_workers_show_exactly_the_budget_and_killing_them_keeps_what_was_spent(settings):
    publish(settings, budgeted(300))
    with served(settings, "--port", "0", "--workers", "2") as server:

        def hammer(_):
            answers = []
            while True:
                connection = server.connect()  # another connection, perhaps another worker
                answers += [ask(connection, "nobody") for _ in range(20)]
                connection.close()
                if not shown(answers[-20:]):
                    return answers

        with ThreadPoolExecutor(4) as pool:
            answers = [answer for part in pool.map(hammer, range(4)) for answer in part]
        assert shown(answers) == 300
        assert {a["reason"] for a in answers if a["action"] == "none"} == {"budget"}
        paid = [answer for answer in answers if answer["action"] == "show"][:40]
        assert {server.report(answer, "impression") for answer in paid} == {204}
        family = server.workers()
        for worker in family:
            worker.kill()
        os.kill(server.process.pid, signal.SIGKILL)
        assert gone(family)
    ledger = Ledger(settings.data / "budgets")
    assert account(ledger)["spent"] == 40 * PRICE
    assert account(ledger)["committed"] == 300 * PRICE
    ledger.close()


def test_a_snapshot_without_budgets_opens_no_accounts(settings):
    publish(settings, catalogue())
    with running(settings) as api:
        assert api.decide()["action"] == "show"
        assert api.app.state.engines.spending.ledger.header["rows"] == 0
    assert json.loads((settings.data / "format.json").read_text())
    assert open_versions(settings).load_snapshot().budgets.tolist() == [[0], [0], [1]]
