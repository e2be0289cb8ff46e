"""What a load run found, and whether it counts and passes."""

from dataclasses import dataclass, field
from typing import Any

from bench.load.histogram import Histogram
from bench.load.schedule import Schedule
from bench.wire import GATED_SHARE_MAX

RATE_SHARE_MIN = 0.99
"""Below this share of the asked rate the run measured something else."""


@dataclass
class Findings:
    """Everything the users saw, merged over the workers."""

    latency: Histogram = field(default_factory=Histogram)
    """From the due time to the whole answer: the figure."""
    service: Histogram = field(default_factory=Histogram)
    """From the sending to the whole answer: what a closed loop would have reported."""
    lateness: Histogram = field(default_factory=Histogram)
    """From the due time to the sending: the load generator's own part, or a server's backlog."""
    failed_count: int = 0
    gated_count: int = 0
    """Answered rightly, and too late or too busy to decide."""

    def record(self, due_s: float, sent_s: float, answered_s: float) -> None:
        """Count one exchange by its three times."""
        self.latency.record(1e3 * (answered_s - due_s))
        self.service.record(1e3 * (answered_s - sent_s))
        self.lateness.record(1e3 * (sent_s - due_s))

    def take(self) -> dict[str, Any]:
        """Return what is new since the last time, fit to be sent to the master."""
        taken = {
            "latency": self.latency.take(),
            "service": self.service.take(),
            "lateness": self.lateness.take(),
            "failed_count": self.failed_count,
            "gated_count": self.gated_count,
        }
        self.failed_count = self.gated_count = 0
        return taken

    def merge(self, taken: dict[str, Any]) -> None:
        """Add what a worker has sent."""
        self.latency.merge(taken["latency"])
        self.service.merge(taken["service"])
        self.lateness.merge(taken["lateness"])
        self.failed_count += taken["failed_count"]
        self.gated_count += taken["gated_count"]


@dataclass(frozen=True)
class Verdict:
    """One run, judged."""

    schedule: Schedule
    findings: Findings
    stall: Histogram
    p99_ms_max: float

    @property
    def rate_share(self) -> float:
        """Share of the due requests that were answered rightly."""
        return self.findings.latency.count / self.schedule.expected_count

    @property
    def problems(self) -> list[str]:
        """Why the run does not pass; empty when it does."""
        found = []
        if self.findings.failed_count:
            found.append(f"{self.findings.failed_count} requests failed")
        if self.rate_share < RATE_SHARE_MIN:
            found.append(f"only {self.rate_share:.1%} of the asked rate was achieved")
        if self.findings.gated_count > GATED_SHARE_MAX * self.schedule.expected_count:
            found.append(f"{self.findings.gated_count} answers decided nothing")
        p99_ms = self.findings.latency.percentile(0.99)
        if p99_ms > self.p99_ms_max:
            found.append(f"p99 of {p99_ms:.1f} ms exceeds {self.p99_ms_max:g} ms")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the run in JSON's types, milliseconds throughout."""
        return {
            "rate_asked": self.schedule.rate,
            "rate_achieved": self.rate_share * self.schedule.rate,
            "failed_count": self.findings.failed_count,
            "gated_count": self.findings.gated_count,
            "latency_ms": self.findings.latency.summary(),
            "service_ms": self.findings.service.summary(),
            "lateness_ms": self.findings.lateness.summary(),
            "machine_stall_ms": self.stall.summary(),
            "problems": self.problems,
        }

    def lines(self) -> list[str]:
        """Return the report."""
        rows = (
            ("from the scheduled time", self.findings.latency),
            ("from the sending", self.findings.service),
            ("sent late by", self.findings.lateness),
            ("machine-stall floor", self.stall),
        )
        columns = ("p50", "p90", "p99", "p99.9", "max")
        length = f"{self.schedule.measured_s:g} s after {self.schedule.warm_up_s:g} s of warm-up"
        failed = f"{self.findings.failed_count} failed, {self.findings.gated_count} gated"
        return [
            f"{self.schedule.rate:g} requests/s for {length}: {self.rate_share:.1%} met, {failed}",
            f"  {'milliseconds':<24}" + "".join(f"{column:>9}" for column in columns),
            *(
                f"  {name:<24}" + "".join(f"{row[column]:9.2f}" for column in columns)
                for name, row in ((name, histogram.summary()) for name, histogram in rows)
            ),
            "  " + ("; ".join(self.problems) or f"p99 is within {self.p99_ms_max:g} ms"),
        ]
