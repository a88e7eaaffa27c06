"""Asks one target all rows, each once, and says how its answers compare."""

import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from trihull_infra.answers.targets import Credentials, Target
from trihull_runtime.contract.codec import write_file
from trihull_runtime.errors import TrihullError
from trihull_runtime.predict.client import Client, client_context
from trihull_runtime.predict.run import predict
from trihull_runtime.predict.split import read_split

FIRST_WRONG: Final = 3


@dataclass(frozen=True)
class Comparison:
    """What came of one target.

    Attributes:
        target: who was asked.
        rows: how many rows were sent.
        equal: how many were answered as by the released model.
        sites: site -> rows that it answered: by the router's word, or the site itself.
        release_digest: the release that the target says it serves; None when it says none.
        seconds: that it took.
        problem: what is wrong; empty when every row is equal.
    """

    target: Target
    rows: int = 0
    equal: int = 0
    sites: Mapping[str, int] = field(default_factory=dict)
    release_digest: str | None = None
    seconds: float = 0.0
    problem: str = ""

    def to_value(self) -> dict[str, Any]:
        """Return plain values for `--json`."""
        return {
            "name": self.target.name,
            "router": self.target.router,
            "url": self.target.url,
            "rows": self.rows,
            "equal": self.equal,
            "sites": dict(self.sites),
            "release_digest": self.release_digest,
            "seconds": round(self.seconds, 3),
            "problem": self.problem or None,
        }


def compare(target: Target, model: str, batch: int, timeout_s: float) -> Comparison:
    """Send all rows of a target's release to it, and compare every answer with the released model's.

    Args:
        target: who is asked.
        model: its name.
        batch: rows in one request.
        timeout_s: of one request.

    Returns:
        The comparison; whatever went wrong is its problem.
    """
    if target.problem or target.split is None:
        return Comparison(target, problem=target.problem)
    try:
        split = read_split(target.split)
        context = None if target.credentials is None else tls_context(target.credentials)
        with Client(target.url, context, timeout_s, target.server_name) as client:
            result = predict(client, model, split, batch, check=True, progress=lambda _: None)
    except TrihullError as error:
        return Comparison(target, problem=str(error))
    answered = sum(label is not None for label in result.labels)
    sites = dict(result.sites.most_common()) if target.router else {target.name: answered}
    problems = []
    if result.lost_requests:
        problems.append(f"{result.lost_requests} of {result.requests} requests were lost: {result.first_loss}")
    if result.wrong:
        first = "; ".join(result.wrong[:FIRST_WRONG])
        problems.append(f"{len(result.wrong)} of {result.rows} rows differ from the released model: {first}")
    if result.release_digest != target.release_digest:
        problems.append(f"it serves release {result.release_digest}, expected {target.release_digest}")
    if target.router and sum(sites.values()) != answered:
        problems.append("it does not say which site answered: it is no trihull router")
    return Comparison(
        target=target,
        rows=result.rows,
        equal=answered - len(result.wrong),
        sites=sites,
        release_digest=result.release_digest,
        seconds=result.seconds,
        problem="; ".join(problems),
    )


def tls_context(credentials: Credentials) -> ssl.SSLContext:
    """Return what a site is asked with; the key is on disk, readable by its owner alone, only while it is loaded.

    Raises:
        InputError: the certificates or the key cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="trihull-answers.") as folder:
        paths: dict[str, Path | None] = {"authority": None}
        for name in ("authority", "certificate", "key"):
            if (text := getattr(credentials, name)) is not None:
                paths[name] = path = Path(folder, f"{name}.pem")
                write_file(path, text.encode(), 0o600)
        context = client_context(paths["authority"], paths["certificate"], paths["key"])
    assert context is not None, "a certificate was given"
    return context
