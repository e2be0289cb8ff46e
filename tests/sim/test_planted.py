"""Every law finds what breaks it: a server that breaks it on purpose, judged by the same market."""

import msgspec
import pytest
from msgspec.structs import replace

from adserver.budget.budgets import Budgets
from adserver.domain.policy import DoseSettings, Policy, ViewerCaps
from adserver.domain.reasons import GATES, Reason
from adserver.serve.spending import Spending
from adserver.worlds.stubs import NO_FAULTS, Faults, StubStore
from tests.sim.small import broken, live, market

NO_CAPS = ViewerCaps(viewer=())


def policy(**fields) -> Policy:
    return replace(market().policy, **fields)


def campaigns(**fields):
    rows = [replace(row, **fields) for row in market().catalogue.campaigns]
    return replace(market(), catalogue=replace(market().catalogue, campaigns=tuple(rows)))


def richer():
    """Return the market with ten times its budgets."""
    rows = []
    for row in market().catalogue.campaigns:
        budget = row.budget
        more = replace(
            budget,
            total_micros=10 * budget.total_micros,
            daily_micros=10 * budget.daily_micros,
        )
        rows.append(replace(row, budget=more))
    return replace(market(), catalogue=replace(market().catalogue, campaigns=tuple(rows)))


def without_wishes():
    records = {
        viewer: replace(record, suppressions=[]) for viewer, record in market().records.items()
    }
    return replace(market(), records=records)


SERVED = {
    "caps of campaigns": (lambda: campaigns(caps=()), {"caps"}),
    "caps of viewers": (lambda: replace(market(), policy=policy(caps=NO_CAPS)), {"caps"}),
    "budgets": (richer, {"budgets"}),
    "bars": (lambda: campaigns(threshold=-1.0), {"threshold"}),
    "dose": (
        lambda: replace(market(), policy=policy(dose=DoseSettings(weight=0.0))),
        {"threshold"},
    ),
    "cost of annoyance": (
        lambda: replace(market(), policy=policy(annoyance_cost=1.0)),
        {"threshold"},
    ),
    "surprises a day": (
        lambda: replace(market(), policy=policy(surprises_per_day=9, surprise=0.5)),
        {"surprises"},
    ),
    "surprise band": (
        lambda: replace(market(), policy=policy(surprise_band=1.0, surprise=0.5)),
        {"threshold"},
    ),
    "hold-out": (lambda: replace(market(), policy=policy(hold_out=0.0)), {"holdout"}),
    "suppressions": (without_wishes, {"suppressions"}),
}


@pytest.mark.parametrize("name", SERVED)
def test_a_server_that_does_not_know_the_rule_is_found(name):
    served, laws = SERVED[name]
    assert laws <= broken(live(market(), served())).keys()


def test_competitors_shown_one_after_the_other_are_found():
    judged = market(viewers=20, requests=1000)
    rows = [replace(row, competes_with=()) for row in judged.catalogue.campaigns]
    served = replace(judged, catalogue=replace(judged.catalogue, campaigns=tuple(rows)))
    assert "separation" in broken(live(judged, served))


def rewriting(change):
    """Sabotage the journal: every decision row is written otherwise than it was made."""

    def sabotage(sandbox):
        ask = sandbox.ask

        def lying(worker, body):
            answered = ask(worker, body)
            return replace(answered, row=change(answered.row))

        sandbox.ask = lying

    return sabotage


def drawn_gate(row):
    gate = not row.shown and Reason(row.reason) in GATES
    return replace(row, drawn=True, propensity=1.0) if gate else row


def half_of_nothing(row):
    return replace(row, p_nothing=row.p_nothing / 2)


def below_the_bar(row):
    return replace(row, dose=row.dose + 30.0)


def forgetting(sandbox):
    """Sabotage the store: impressions are acknowledged and not kept."""
    sandbox.store._records = _ReadOnly(sandbox.store._records)  # noqa: SLF001


class _ReadOnly(dict):
    def __setitem__(self, key, value):
        pass


def garbled(sandbox):
    """Sabotage the answers: everything shown is said to be another film."""
    ask = sandbox.ask

    def lying(worker, body):
        answered = ask(worker, body)
        told = msgspec.json.decode(answered.body)
        if told["action"] == "show":
            told["variant"] = "film-0"
        return replace(answered, body=msgspec.json.encode(told))

    sandbox.ask = lying


SABOTAGED = {
    "a gate is drawn": (rewriting(drawn_gate), {"gates"}),
    "probabilities lack some": (rewriting(half_of_nothing), {"propensities"}),
    "shown below the bar": (rewriting(below_the_bar), {"threshold"}),
    "impressions are forgotten": (forgetting, {"caps", "threshold", "surprises"}),
    "answers differ": (garbled, {"answers"}),
}


@pytest.mark.parametrize("name", SABOTAGED)
def test_a_server_that_errs_is_found(name):
    sabotage, laws = SABOTAGED[name]
    lively = replace(market(), policy=policy(surprise=0.3))
    assert laws <= broken(live(lively, sabotage=sabotage)).keys()


def test_draws_that_are_not_uniform_are_found(monkeypatch):
    from adserver.serve import handler  # noqa: PLC0415  (what is sabotaged)

    fair = handler.draw
    monkeypatch.setattr(handler, "draw", lambda *given: fair(*given) ** 2)
    many = market(requests=1500, viewers=300)
    assert "frequencies" in broken(live(replace(many, policy=policy(epsilon=1.0))))


def test_money_given_out_without_asking_is_found(monkeypatch):
    monkeypatch.setattr(Budgets, "reserve", lambda *_: True)
    monkeypatch.setattr(Budgets, "close_full", lambda *_: False)
    monkeypatch.setattr(Budgets, "refresh", _open_to_all)
    assert {"budgets"} <= broken(live(market())).keys()


def _open_to_all(budgets, _now_ms):
    budgets.pace = budgets.unbudgeted * 0 + 1
    budgets.holds_back = False


def test_a_beacon_that_is_paid_twice_is_found(monkeypatch):
    def charging(spending, store):
        def apply(changes):
            firsts = store.transact(changes)
            for change in changes:
                if change.account:
                    spending._settle(change)  # noqa: SLF001
            return firsts

        return apply

    monkeypatch.setattr(Spending, "charging", charging)
    monkeypatch.setattr(StubStore, "seen", lambda *_: False)
    assert "ledger" in broken(live(market(), faults=Faults(beacon_twice=0.3)))


def test_a_run_that_depends_on_something_else_is_another_run():
    calm = live(market(), faults=NO_FAULTS)

    def late(sandbox):
        get, calls = sandbox.store.get, iter(range(1 << 30))

        async def slow(viewer_id, budget_s):
            if next(calls) % 50 == 0:
                sandbox.clock.wait(1_000_000_000)
            return await get(viewer_id, budget_s)

        sandbox.store.get = slow

    assert live(market(), sabotage=late, faults=NO_FAULTS).digest != calm.digest
