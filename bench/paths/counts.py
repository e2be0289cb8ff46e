"""What it costs a decision to keep its counts per stage: with and without them, in one run.

The twin without is made from the kernels' own source, less every statement that writes ``counts``;
what only those needed the compiler drops by itself. So it can never fall behind the kernels.
"""

import ast
import inspect
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import orjson

from adserver.catalogue.columns import Columns
from adserver.decide.pipeline import Decider
from adserver.domain.request import AdRequest
from adserver.domain.viewer import OpenRecord
from adserver.edge import json_request
from adserver.runtime.clock import SystemClock
from adserver.settings import load
from adserver.start import open_versions, open_viewers
from adserver.viewer.codec import open_record
from bench import traffic, world
from kernels import decision, eligibility, scoring

SHARE_MAX = 0.05
"""Of a decision's time, for the counts."""
SEED = 3


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    pairs_count: int = 60
    requests_count: int = 1000


SMALLEST = Effort(pairs_count=1, requests_count=20)
"""Enough to see that both decide alike; not a measurement."""


@dataclass(frozen=True)
class Comparison:
    """Neighbouring rounds of decisions without and with counts."""

    pairs: list[tuple[float, float]]
    """Microseconds a decision (without, with)."""
    eligible: float
    """Candidates a decision, on average."""

    @property
    def ratios(self) -> list[float]:
        """Time with counts over time without, of each pair."""
        return [counting / plain for plain, counting in self.pairs]

    @property
    def ratio(self) -> float:
        """The figure: the median of the pairs."""
        return median(self.ratios)

    @property
    def passed(self) -> bool:
        """Whether counts cost no more than they may."""
        return self.ratio <= 1 + SHARE_MAX

    def lines(self) -> Iterator[str]:
        """Return what a report says."""
        plain, counting = (median(side) for side in zip(*self.pairs, strict=True))
        yield f"  {self.eligible:,.0f} eligible candidates a decision, {len(self.pairs)} pairs"
        yield f"  without counts {plain:8.2f} µs"
        yield f"  with counts    {counting:8.2f} µs"
        low, _, high = quantiles(self.ratios, n=4) if len(self.pairs) > 1 else self.ratios * 3
        yield f"  ratio          {self.ratio:8.3f}  (quartiles {low:.3f} to {high:.3f})"


def compare(data: Path, size: world.Dimensions, effort: Effort) -> Comparison:
    """Measure both in turn, over the same requests; every answer is compared."""
    settings = load(environment={}, flags={"data": data})
    columns = open_versions(settings).load_snapshot()
    if columns is None:
        raise FileNotFoundError(f"{data} holds no snapshot")
    documents = list(traffic.ad_requests(world.audience(size), effort.requests_count, SEED))
    with closing(open_viewers(settings)) as store:
        kept = dict(store.scan())
    asked = [
        (json_request.parse(orjson.dumps(each)), open_record(kept[each["viewer"]["id"]]))
        for each in documents
    ]
    counting, plain = decision.decide_request, without_counts()
    eligible = _check(columns, asked, plain)
    decider = Decider(columns)
    pairs = []
    for number in range(effort.pairs_count):
        order = (plain, counting) if number % 2 else (counting, plain)
        took = {kernel: _round_us(decider, asked, kernel) for kernel in order}
        pairs.append((took[plain], took[counting]))
    return Comparison(pairs, eligible)


def without_counts() -> Callable[..., Any]:
    """Return the kernel of the whole decision, compiled from source that counts nothing."""
    admit = _uncounted(eligibility.admit_block)
    shortlist = _uncounted(scoring.shortlist_candidates, admit_block=admit)
    return _uncounted(decision.decide_request, shortlist_candidates=shortlist)


class _Uncount(ast.NodeTransformer):
    """Takes out what writes ``counts``, and the decorator."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list = []
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        return None if _is_counts(node.targets[0]) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST | None:
        return None if _is_counts(node.target) else node


def _is_counts(target: ast.AST) -> bool:
    return isinstance(target, ast.Subscript) and ast.unparse(target.value) == "counts"


def _uncounted(kernel: Any, **callees: Any) -> Any:
    """Compile a kernel's source without its counting, with these callees in place of its own."""
    function = getattr(kernel, "py_func", kernel)
    tree = _Uncount().visit(ast.parse(textwrap.dedent(inspect.getsource(function))))
    names = {**function.__globals__, **callees}
    exec(compile(ast.fix_missing_locations(tree), "<without counts>", "exec"), names)  # noqa: S102
    if function is kernel:  # kernels run as plain Python
        return names[function.__name__]
    twin = type(kernel)(names[function.__name__], targetoptions=kernel.targetoptions)
    for signature in kernel.nopython_signatures:
        twin.compile(signature.args)
    twin.disable_compile()
    return twin


@contextmanager
def _deciding_by(kernel: Callable[..., Any]) -> Iterator[None]:
    former, decision.decide_request = decision.decide_request, kernel
    try:
        yield
    finally:
        decision.decide_request = former


Asked = list[tuple[AdRequest, OpenRecord]]


def _round_us(decider: Decider, asked: Asked, kernel: Callable[..., Any]) -> float:
    now_ms = SystemClock().now_ms()
    decision_id = bytes(16)
    with _deciding_by(kernel):
        began = time.perf_counter_ns()
        for request, viewer in asked:
            decider.decide(request, viewer, now_ms, decision_id, 0.5)
        return (time.perf_counter_ns() - began) / 1000 / len(asked)


def _check(columns: Columns, asked: Asked, plain: Callable[..., Any]) -> float:
    """Compare every answer; return how many candidates a decision had, on average."""
    counting, uncounting = Decider(columns), Decider(columns)
    now_ms = SystemClock().now_ms()
    eligible = 0
    for request, viewer in asked:
        one = counting.decide(request, viewer, now_ms, bytes(16), 0.5)
        with _deciding_by(plain):
            other = uncounting.decide(request, viewer, now_ms, bytes(16), 0.5)
        if one.chosen != other.chosen or not np.array_equal(one.values, other.values):
            raise AssertionError("without counts another decision is made")
        if any(other.counts[2:]):
            raise AssertionError("the twin without counts counts")
        eligible += int(one.counts[-1])
    return eligible / len(asked)
