"""What a process counts for its operators, under names that Prometheus scrapes."""

import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from db.jobs import JobStats
from push.backlog import Backlog
from push.outcomes import Outcomes

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
# Set by `jalon serve` before it starts several processes; each then writes its numbers to files there.
_SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"

_SECONDS: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The numbers of one process; several on one machine are added up when any of them is asked."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "jalon_http_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "jalon_http_request_duration_seconds",
            "From the first byte of a request to the last of its answer.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._reports = Counter("jalon_reports", "Reports received.", ["result"], registry=self._registry)

    def count_request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def count_report(self, *, result: str) -> None:
        """Count a report by what became of it: `opened`, `joined` or `repeated`."""
        self._reports.labels(result).inc()

    def render(
        self,
        jobs: JobStats | None,
        pushes: Mapping[str, Backlog] = MappingProxyType({}),
        outcomes: Mapping[str, Outcomes] = MappingProxyType({}),
    ) -> bytes:
        """Write down all numbers in Prometheus' text format, those of sibling processes included.

        Args:
            jobs: The state of the queue, which all processes share; None where it cannot be read.
            pushes: What waits to be sent, by city; all processes share it too.
            outcomes: What became of what was sent, by city.
        """
        registry = self._registry
        if _SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library has no types for it
        numbers = generate_latest(registry)
        if jobs is None:
            return numbers
        queue = CollectorRegistry()
        queue.register(_Queue(jobs))
        queue.register(_Pushes(pushes, outcomes))
        return numbers + generate_latest(queue)


class _Queue(Collector):
    """The state of the queue at one moment."""

    def __init__(self, jobs: JobStats) -> None:
        self._jobs = jobs

    def collect(self) -> Iterator[Metric]:
        """Give the numbers."""
        counts = GaugeMetricFamily("jalon_jobs", "Jobs in the queue.", labels=["kind", "state"])
        ages = GaugeMetricFamily("jalon_jobs_oldest_seconds", "Age of the oldest such job.", labels=["kind", "state"])
        for count in self._jobs.counts:
            counts.add_metric([count.kind, count.state], count.count)
            ages.add_metric([count.kind, count.state], count.oldest_s)
        yield counts
        yield ages


class _Pushes(Collector):
    """What waits to be sent at one moment, and what became of the rest."""

    def __init__(self, pushes: Mapping[str, Backlog], outcomes: Mapping[str, Outcomes]) -> None:
        self._pushes = pushes
        self._outcomes = outcomes

    def collect(self) -> Iterator[Metric]:
        """Give the numbers."""
        queued = GaugeMetricFamily("jalon_pushes_queued", "Pushes that wait or are on their way.", labels=["city"])
        overdue = GaugeMetricFamily(
            "jalon_pushes_overdue_seconds", "For how long the oldest push has been due.", labels=["city"]
        )
        for city, backlog in self._pushes.items():
            queued.add_metric([city], backlog.queued)
            overdue.add_metric([city], backlog.overdue_s)
        ended = CounterMetricFamily(
            "jalon_push_outcomes", "What became of pushes, try by try.", labels=["city", "channel", "outcome"]
        )
        for city, outcomes in self._outcomes.items():
            for (channel, outcome), count in outcomes.items():
                ended.add_metric([city, channel, outcome], count)
        yield queued
        yield overdue
        yield ended
