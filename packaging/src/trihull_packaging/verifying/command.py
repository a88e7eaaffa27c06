"""`trihull verify`: looks at every link from an image's digest to its gate, and names the one that is broken.

The router's image has no model: its chain ends with the bill of materials.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from trihull_runtime.artifacts.evidence.verify import Report


@click.command("verify")
@click.argument("reference", metavar="REF")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Public key (PEM): then only evidence that it signed counts. May be repeated while keys are rotated.",
)
@click.option(
    "--require",
    multiple=True,
    metavar="LINKS",
    help="What must hold beside digest and platforms, comma-separated [default: all; signature only with --key].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(reference: str, keys: tuple[Path, ...], require: tuple[str, ...], as_json: bool) -> None:
    """Verify an image and its evidence: digests, release, signature, provenance, bill of materials, gate, model card.

    REF is HOST/REPOSITORY@sha256:..., HOST/REPOSITORY:TAG, oci-layout://PATH@sha256:..., the folder of a release or of
    a router build, or its release.json or router.json. The router's image has no release, gate and model
    card. Exit code 3 when a link is broken, 69 when a registry cannot be reached.
    """
    from trihull_packaging.verifying.opening import open_image
    from trihull_runtime.artifacts.evidence import signing, verify

    wanted = _links(require, keys)
    trusted = tuple(signing.load_public_key(path) for path in keys)
    found = open_image(reference)
    policy = verify.Policy(wanted, trusted, found.release, found.lock_digest, found.router)
    report = verify.verify(found.registry, found.digest, policy)
    click.echo(json.dumps(_value(report), indent=2) if as_json else _text(report, bool(keys)))
    report.check()


def _links(require: tuple[str, ...], keys: tuple[Path, ...]) -> frozenset[str] | None:
    """Return the links to look at; None is all that the image's kind has."""
    from trihull_runtime.artifacts.evidence.verify import KNOWN_LINKS
    from trihull_runtime.errors import UsageError

    named = frozenset(name.strip() for part in require for name in part.split(",") if name.strip())
    if unknown := sorted(named - set(KNOWN_LINKS)):
        raise UsageError(f"--require: {', '.join(unknown)}: unknown; known: {', '.join(KNOWN_LINKS)}")
    if "signature" in named and not keys:
        raise UsageError("--require signature: give the public key with --key")
    return named | (frozenset({"signature"}) if keys else frozenset()) if named else None


def _text(report: "Report", with_keys: bool) -> str:
    from trihull_runtime.artifacts.evidence.verify import LINKS, MODEL_ONLY, ROUTER_LINKS, Kind

    lines = [f"{report.place}@{report.digest}"]
    lines += [f"{'ok' if link.holds else 'BROKEN':<8}{link.name:<12}{link.detail}" for link in report.links]
    looked_at = {link.name for link in report.links}
    for name in LINKS if report.kind is Kind.MODEL else ROUTER_LINKS:
        if name not in looked_at:
            why = "not looked at: give --key" if name == "signature" and not with_keys else "not asked for"
            lines.append(f"{'-':<8}{name:<12}{why}")
    if report.kind is Kind.ROUTER:
        lines.append(f"the router's image: it holds no model, so it has no {', '.join(MODEL_ONLY)}")
    lines += [f"left out: {remark}" for remark in report.remarks]
    return "\n".join(lines)


def _value(report: "Report") -> dict[str, object]:
    return {
        "place": report.place,
        "digest": report.digest,
        "kind": report.kind.value,
        "holds": not report.broken,
        "links": [{"name": link.name, "holds": link.holds, "detail": link.detail} for link in report.links],
        "remarks": list(report.remarks),
    }
