"""Every fault, by part of the product. A fault whose old text is gone fails `tests/unit/mutation`: mend it there."""

from tests.mutation.fault import Fault
from tests.mutation.faults import artifacts, envoy, packaging, providers, router, server, spec

FAULTS: tuple[Fault, ...] = (
    *server.FAULTS,
    *artifacts.FAULTS,
    *packaging.FAULTS,
    *envoy.FAULTS,
    *router.FAULTS,
    *spec.FAULTS,
    *providers.FAULTS,
)
