"""Where Envoy's files lie inside the router's state folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """`folder` is watched by Envoy: files are renamed into it, nothing else happens there. `logs` are Envoy's own."""

    folder: Path
    logs: Path
    admin_socket: Path
    tls: Path | None

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
    def clusters(self) -> Path:
        """CDS."""
        return self.folder / "cds.json"

    @property
    def secrets(self) -> Path:
        """SDS: the client certificate towards the sites."""
        return self.folder / "sds.json"

    def endpoints(self, cluster: str) -> Path:
        """EDS of one cluster."""
        return self.folder / f"eds-{cluster}.json"

    def version_stat(self, path: Path) -> str | None:
        """Return where Envoy tells which version of a file it has: the prefix of `.version_text` in its statistics."""
        fixed = {
            self.listeners: "listener_manager.lds",
            self.routes: "http.ingress.rds.ingress",
            self.clusters: "cluster_manager.cds",
        }
        if path.name.startswith("eds-"):
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
    def output(self) -> Path:
        """What Envoy itself prints."""
        return self.logs / "envoy.log"
