"""Prometheus metrics of the server, in base units; names are part of the interface (dashboards, alerts)."""

import functools

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4.encode()
_BUCKETS_S = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The server's metrics in a registry of their own.

    `model_name` is only ever the name of a loaded model, or empty: a client cannot make new series.
    """

    def __init__(self) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self.registry = CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.PlatformCollector(registry=self.registry)
        model = ("model_name", "model_version")
        self._requests = Counter(
            "trihull_inference_requests_total",
            "Inference requests by answer.",
            (*model, "code"),
            registry=self.registry,
        )
        self._duration = Histogram(
            "trihull_inference_request_duration_seconds",
            "Time from the whole request's arrival to its answer.",
            model,
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "trihull_inference_in_flight", "Inference requests being answered.", registry=self.registry
        )
        self._rejected = Counter(
            "trihull_inference_rejected_total", "Requests refused unread.", ("reason",), registry=self.registry
        )
        self._release = Gauge(
            "trihull_release_info", "The release that is served.", (*model, "release_digest"), registry=self.registry
        )
        self.ready = Gauge("trihull_ready", "1 while the server asks for requests.", registry=self.registry)
        # Finding a child by its labels costs more than counting in it.
        self._request_child = functools.cache(self._requests.labels)
        self._duration_child = functools.cache(self._duration.labels)

    def add_release(self, name: str, version: str, release_digest: str) -> None:
        """Say which release of a model is served."""
        self._release.labels(name, version, release_digest).set(1)

    def answered(self, name: str, version: str, code: int, duration_s: float) -> None:
        """Count one answered inference request."""
        self._request_child(name, version, code).inc()
        self._duration_child(name, version).observe(duration_s)

    def rejected(self, reason: str) -> None:
        """Count a request that was refused unread: `overloaded`, `too_large`."""
        self._rejected.labels(reason).inc()

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return prometheus_client.generate_latest(self.registry)
