"""Where Envoy's files lie inside the router's state folder."""

from dataclasses import dataclass
from pathlib import Path

from trihull_runtime.router.envoy import wire


@dataclass(frozen=True)
class Layout:
    """`folder` is watched by Envoy: files are renamed into it, nothing else happens there. `logs` are Envoy's own.

    `tls` holds the certificate that is shown to sites, `ingress_tls` the one that is shown to clients.
    """

    folder: Path
    logs: Path
    admin_socket: Path
    tls: Path | None
    ingress_tls: Path | None = None

    @property
    def probe_socket(self) -> Path:
        """Where Envoy takes requests of the control process to one certain site."""
        return self.admin_socket.with_name("probe.sock")

    @property
    def shadow_socket(self) -> Path:
        """Where the control process takes copies of requests."""
        return self.admin_socket.with_name("shadow.sock")

    @property
    def bootstrap(self) -> Path:
        """What Envoy is started with."""
        return self.folder.parent / "bootstrap.json"

    @property
    def listeners(self) -> Path:
        """LDS."""
        return self.folder / "lds.json"

    @property
    def routes(self) -> Path:
        """RDS: routes change without touching a listener, so no client's connection is closed for a new release."""
        return self.folder / "rds.json"

    @property
    def probe_routes(self) -> Path:
        """RDS of the control process's own questions; Envoy wants each route configuration in a file of its own."""
        return self.folder / "rds-probes.json"

    @property
    def clusters(self) -> Path:
        """CDS."""
        return self.folder / "cds.json"

    def secret(self, name: str) -> Path:
        """SDS of one certificate: Envoy wants each in a file of its own."""
        return self.folder / f"sds-{name}.json"

    def endpoints(self, cluster: str) -> Path:
        """EDS of one cluster, in the wire format: there may be thousands, and they change the most."""
        return self.folder / f"eds-{cluster}{wire.SUFFIX}"

    def is_endpoints(self, path: Path) -> bool:
        """Whether a file is one of EDS."""
        return path.name.startswith("eds-")

    def version_stat(self, path: Path) -> str | None:
        """Return where Envoy tells which version of a file it has: the prefix of `.version_text` in its statistics."""
        fixed = {
            self.listeners: "listener_manager.lds",
            self.routes: "http.ingress.rds.ingress",
            self.probe_routes: "http.probes.rds.probes",
            self.clusters: "cluster_manager.cds",
        }
        if self.is_endpoints(path):
            return f"cluster.{path.stem.removeprefix('eds-')}"
        return fixed.get(path)

    @property
    def health_log(self) -> Path:
        """Events of the active health checks, one JSON object a line."""
        return self.logs / "health.jsonl"

    @property
    def outlier_log(self) -> Path:
        """Ejections and returns, one JSON object a line."""
        return self.logs / "outlier.jsonl"

    @property
    def access_log(self) -> Path:
        """Requests, one JSON object a line."""
        return self.logs / "access.jsonl"

    @property
    def attempts_log(self) -> Path:
        """Attempts at sites that failed or were turned away, one JSON object a line."""
        return self.logs / "attempts.jsonl"

    @property
    def output(self) -> Path:
        """What Envoy itself prints."""
        return self.logs / "envoy.log"
