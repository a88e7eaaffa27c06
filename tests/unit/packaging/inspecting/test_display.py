"""What people and programs see: golden texts, and names that were chosen to deceive."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.unit.packaging.inspecting import images
from tests.unit.packaging.inspecting.images import Memory, Parts
from trihull_packaging.inspecting import display, display_difference
from trihull_packaging.inspecting.difference import difference, difference_value
from trihull_packaging.inspecting.display import plain
from trihull_packaging.inspecting.facts import ImageFacts, image_value
from trihull_packaging.inspecting.filewise import with_files
from trihull_packaging.inspecting.gathering import Options, gather
from trihull_packaging.inspecting.printing import printable, size
from trihull_runtime.contract.release import Evaluation, Gate, Verdict

GOLDEN = Path(__file__).parents[3] / "golden" / "packaging"
HOSTILE = "x\x1b[2J\r\n\u202ey\x07[red]"


def released(made: Parts) -> tuple[Memory, ImageFacts]:
    """An image of a release with evidence."""
    made.level = 0
    registry = Memory()
    digest = images.two_platforms(registry, made)
    manifests = json.loads(registry.blobs[digest])["manifests"]
    images.attach(registry, manifests[0]["digest"], "https://cyclonedx.org/bom", images.bill(numpy=55_820_183, six=900))
    images.attach(registry, digest, "https://slsa.dev/provenance/v1", {}, signed=True)
    gate = Gate("accuracy", 0.93, 0.9481, passed=True)
    facts = gather(registry, digest, Options(deep=True))
    evaluation = Evaluation({"accuracy": 0.9481, "f1_macro": 0.9472}, (gate,), Verdict.PASSED)
    return registry, replace(facts, evaluation=evaluation, evaluation_from="release.json")


def shown(facts: ImageFacts, width: int = 100) -> str:
    output = io.StringIO()
    display.show(Console(file=output, width=width, highlight=False), facts)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n"


def golden(name: str, text: str) -> None:
    assert text == (GOLDEN / name).read_text(encoding="utf-8"), f"{name}: what people see changes; is that meant?"


def test_an_image_is_shown_as_in_the_golden_text() -> None:
    golden("inspect.txt", shown(released(images.parts())[1]))


def test_an_image_s_json_is_the_golden_one() -> None:
    golden("inspect.json", json.dumps(image_value(released(images.parts())[1]), indent=2) + "\n")


def changed_release() -> tuple[Memory, ImageFacts]:
    made = images.parts("1.1.0", numpy="2.5.0")
    made.config["Env"] = ["PATH=/usr/bin", "LANG=C.UTF-8"]
    registry, facts = released(made)
    gates = (Gate("accuracy", 0.93, 0.92, passed=False),)
    evaluation = Evaluation({"accuracy": 0.92, "f1_macro": 0.9472}, gates, Verdict.FAILED)
    return registry, replace(facts, evaluation=evaluation)


def test_a_difference_is_shown_as_in_the_golden_text_and_json() -> None:
    (first, one), (second, other) = released(images.parts()), changed_release()
    found = with_files(difference(one, other), first, second)
    output = io.StringIO()
    display_difference.show(Console(file=output, width=100, highlight=False), one, other, found)
    golden("inspect_difference.txt", "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n")
    value = difference_value(one, other, found)["difference"]
    golden("inspect_difference.json", json.dumps(value, indent=2) + "\n")


def test_equal_images_are_said_to_be_one() -> None:
    _, one = released(images.parts())
    output = io.StringIO()
    display_difference.show(Console(file=output, width=100), one, one, difference(one, one))
    assert "identical: one digest" in output.getvalue()


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal_and_no_digest_is_cut(width: int) -> None:
    _, facts = released(images.parts())
    lines = shown(facts, width).splitlines()
    assert max(map(len, lines)) <= width
    assert facts.digest in "".join(line.strip() for line in lines[:8])


def test_names_that_would_change_a_terminal_are_written_out() -> None:
    made = images.parts()
    made.layers = {
        f"model {HOSTILE}": {f"d/{HOSTILE}-1.dist-info/METADATA": f"Name: a{HOSTILE}\nVersion: 1\n".encode()}
    }
    made.config |= {
        "Labels": {HOSTILE: HOSTILE},
        "User": HOSTILE,
        "Env": [f"A={HOSTILE}"],
        "Entrypoint": [HOSTILE],
        "ExposedPorts": {HOSTILE: {}},
    }
    registry = Memory()
    digest = images.two_platforms(registry, made)
    images.attach(registry, digest, HOSTILE, {})
    facts = gather(registry, digest, Options(deep=True))
    text = shown(facts)
    other = difference(released(images.parts())[1], facts)
    output = io.StringIO()
    display_difference.show(Console(file=output, width=100), facts, facts, replace(other, identical=False))
    for said in (text, output.getvalue(), json.dumps(image_value(facts))):
        assert not {one for one in said if one != "\n" and not one.isprintable()}
    assert "x\\x1b[2J\\r\\n\\u202ey\\x07[red]" in text, "no markup is read either"


def test_a_terminal_gets_colours_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    _, facts = released(images.parts())
    seen = []
    for setting in ("", "1"):
        monkeypatch.setenv("NO_COLOR", setting)
        output = io.StringIO()
        environment = {"TERM": "xterm-256color", **({"NO_COLOR": setting} if setting else {})}
        display.show(Console(file=output, width=100, force_terminal=True, _environ=environment), facts)
        seen.append("\x1b[32m" in output.getvalue())
    assert seen == [True, False]


def test_texts_are_cut_where_they_would_fill_the_terminal() -> None:
    assert printable("x" * 1000, 10) == "xxxxxxxxx…"
    assert printable("\ud800") == "\\ud800"
    assert plain("[bold]x[/bold]").plain == "[bold]x[/bold]"


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (52_525_484, "52.5 MB"),
        (3_100_000_000, "3.1 GB"),
    ],
)
def test_sizes_have_a_unit(size_bytes: int | None, text: str) -> None:
    assert size(size_bytes) == text


def test_a_change_of_size_has_its_sign() -> None:
    assert (size(1500, signed=True), size(-1500, signed=True), size(0, signed=True)) == ("+1.5 kB", "-1.5 kB", "0 B")
