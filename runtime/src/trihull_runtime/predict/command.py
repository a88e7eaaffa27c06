"""`trihull predict` on the command line: options in, a table or JSON out, exit 3 for a loss or a difference."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from trihull_runtime.predict.run import Result

FIRST_WRONG = 5


@click.command("predict")
@click.argument("model")
@click.option("--url", required=True, help="A router or a server: http://HOST:PORT or https://HOST:PORT.")
@click.option(
    "--rows", "rows_file", required=True, type=click.Path(path_type=Path),
    help="test_split.json of a release, or a plain JSON list of rows.",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Compare every answer with the bare model's; exit 3 on a difference.")
@click.option("--batch", type=click.IntRange(1, 10_000), default=32, show_default=True, help="Rows in one request.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1, 3600), default=30, show_default=True, help="Seconds."
)
@click.option("--server-name", help="Name that the endpoint's certificate must carry [default: the host of --url].")
@click.option("--ca", type=click.Path(path_type=Path), help="CA certificates that the endpoint's must come from (PEM).")
@click.option("--cert", type=click.Path(path_type=Path), help="Client certificate (PEM), for mutual TLS.")
@click.option("--key", type=click.Path(path_type=Path), help="Its key (PEM).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    model: str,
    url: str,
    rows_file: Path,
    check: bool,
    batch: int,
    timeout_s: float,
    server_name: str | None,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Send rows to MODEL, each batch once and nothing twice, and say what came back."""
    from trihull_runtime.errors import LostError
    from trihull_runtime.predict.client import Client, client_context
    from trihull_runtime.predict.run import predict
    from trihull_runtime.predict.split import read_split

    split = read_split(rows_file)
    errors = sys.stderr
    silent = as_json or not errors.isatty()
    with (
        Client(url, client_context(ca, cert, key), timeout_s, server_name) as client,
        click.progressbar(length=len(split.rows), label="rows", file=errors, hidden=silent) as bar,
    ):
        result = predict(client, model, split, batch, check, bar.update)
    click.echo(json.dumps(_facts(result, url), indent=2) if as_json else _text(result, url))
    if result.lost_requests:
        raise LostError(f"{result.lost_requests} of {result.requests} requests were lost; first: {result.first_loss}")
    if result.wrong:
        first = "; ".join(result.wrong[:FIRST_WRONG])
        raise LostError(f"{len(result.wrong)} of {result.rows} rows differ from the bare model: {first}")


def _facts(result: "Result", url: str) -> dict[str, object]:
    return {
        "url": url,
        "model": result.model,
        "release_digest": result.release_digest,
        "rows": result.rows,
        "requests": result.requests,
        "sites": dict(result.sites.most_common()),
        "lost_requests": result.lost_requests,
        "first_loss": result.first_loss,
        "checked": result.checked,
        "wrong_rows": len(result.wrong) if result.checked else None,
        "first_wrong": result.wrong[:FIRST_WRONG],
        "labels": result.labels,
        "seconds": round(result.seconds, 3),
    }


def _text(result: "Result", url: str) -> str:
    lines = [
        ("model", f"{result.model} at {url}"),
        ("release", result.release_digest or "not told by the endpoint"),
        ("rows", f"{result.rows} in {result.requests} requests, {result.seconds:.2f} s"),
        ("lost", f"{result.lost_requests} requests"),
        ("answered", ", ".join(f"{site} {count} rows" for site, count in result.sites.most_common())),
        ("labels", ", ".join(f"{label}: {count}" for label, count in list(result.label_counts.items())[:12])),
    ]
    if result.checked:
        answered = sum(label is not None for label in result.labels)
        verdict = f"{answered - len(result.wrong)} of {result.rows} rows as the bare model"
        lines.append(("check", verdict))
    return "\n".join(f"{name:<8} {value}" for name, value in lines if value)
