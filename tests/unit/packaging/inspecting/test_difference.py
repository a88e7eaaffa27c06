"""What is another between two images."""

from dataclasses import replace

import pytest

from tests.unit.packaging.inspecting import images
from tests.unit.packaging.inspecting.images import Memory, Parts
from trihull_packaging.inspecting.difference import Difference, Kind, PackageChange, difference
from trihull_packaging.inspecting.facts import ImageFacts
from trihull_packaging.inspecting.filewise import with_files
from trihull_packaging.inspecting.gathering import Options, gather
from trihull_runtime.contract.release import Evaluation, Gate, Verdict


def gathered(made: Parts, *, deep: bool = True) -> tuple[Memory, ImageFacts]:
    registry = Memory()
    return registry, gather(registry, images.two_platforms(registry, made), Options(deep=deep))


def between(one: Parts, other: Parts) -> Difference:
    return difference(gathered(one)[1], gathered(other)[1])


def test_equal_images_are_identical_and_nothing_must_be_sent() -> None:
    found = between(images.parts(), images.parts())
    assert found.identical
    assert found.bytes_to_send == 0
    assert {change.kind for one in found.platforms for change in one.layers} == {Kind.EQUAL}
    assert not found.model
    assert not any(one.packages or one.configuration for one in found.platforms)


def test_another_model_changes_its_layer_alone_and_only_that_is_sent() -> None:
    _, one = gathered(images.parts("1.0.0"))
    _, other = gathered(images.parts("1.1.0"))
    found = difference(one, other)
    changes = found.platforms[0].layers
    assert [change.kind for change in changes] == [Kind.EQUAL, Kind.EQUAL, Kind.CHANGED]
    assert changes[2].one is not None, "a model's counterpart is the model, whatever its version"
    layer = other.platforms[0].layers[2].size_bytes
    documents = other.index_bytes + sum(one.manifest_bytes + one.config_bytes for one in other.platforms)
    assert found.bytes_to_send == layer + documents
    assert [change.key for change in found.model] == ["release digest", "version"]
    assert [change.key for change in found.platforms[0].configuration] == [
        "labels.dev.trihull.release",
        "labels.org.opencontainers.image.version",
    ]


def test_packages_are_compared_by_name_with_their_sizes() -> None:
    one = images.parts()
    other = images.parts(numpy="2.5.0")
    extra = {"opt/trihull/dependencies/h11-1.dist-info/METADATA": b"Name: h11\nVersion: 1\n"}
    other.layers["dependencies"] = {**images.dependencies("2.5.0"), **extra}
    found = between(one, other).platforms[0].packages
    assert found == (
        PackageChange("pypi", "h11", "", "1", None, None),
        PackageChange("pypi", "numpy", "2.4.6", "2.5.0", 9037, 9037),
    )


def test_packages_that_one_side_does_not_know_are_not_compared() -> None:
    _, one = gathered(images.parts())
    _, other = gathered(images.parts(numpy="2.5.0"), deep=False)
    assert difference(one, other).platforms[0].packages is None


def test_the_same_files_from_another_compressor_are_told_apart_from_a_change() -> None:
    other = images.parts()
    other.level = 1
    found = between(images.parts(), other)
    assert not found.identical
    assert {change.kind for change in found.platforms[0].layers} == {Kind.RECOMPRESSED}


def test_added_and_removed_layers_and_platforms_are_named() -> None:
    other = images.parts()
    other.layers = {"base: 1 package": images.BASE, "extra": {"etc/x": b"x"}}
    registry = Memory()
    single = gather(registry, images.index(registry, images.image(registry, other)), Options(deep=True))
    found = difference(gathered(images.parts())[1], single)
    assert (found.platforms_added, found.platforms_removed) == ((), ("linux/arm64",))
    assert [(change.kind, change.purpose) for change in found.platforms[0].layers] == [
        (Kind.EQUAL, "base: 1 package"),
        (Kind.ADDED, "extra"),
        (Kind.REMOVED, "dependencies"),
        (Kind.REMOVED, "model digits 1.0.0"),
    ]


def test_metrics_and_gates_are_compared() -> None:
    _, image = gathered(images.parts())
    gate = Gate("accuracy", 0.9, 0.95, passed=True)
    one = replace(image, evaluation=Evaluation({"accuracy": 0.95, "f1": 0.9}, (gate,), Verdict.PASSED))
    failed = replace(gate, value=0.85, passed=False)
    other = replace(image, evaluation=Evaluation({"accuracy": 0.85, "f1": 0.9}, (failed,), Verdict.FAILED))
    found = difference(one, other)
    assert [(change.key, change.one, change.other) for change in found.metrics or ()] == [("accuracy", 0.95, 0.85)]
    assert [(change.key, change.one, change.other) for change in found.gates or ()] == [
        ("accuracy", "at least 0.9: passed", "at least 0.9: failed"),
        ("verdict", "passed", "failed"),
    ]


def test_what_is_known_of_one_image_alone_is_no_change() -> None:
    _, image = gathered(images.parts())
    assert image.model is not None
    evaluated = replace(image, evaluation=Evaluation({"accuracy": 0.95}, (), Verdict.PASSED))
    vague = replace(image, model=replace(image.model, format="", framework="", classes=(), signature=None))
    found = difference(evaluated, vague)
    assert (found.metrics, found.gates, found.model, found.signature) == (None, None, (), ())
    assert {change.key for change in difference(replace(image, model=None), image).model} >= {"name", "version"}


def test_a_changed_signature_is_named_a_tensor_at_a_time() -> None:
    other = images.parts()
    other.layers["model digits 1.0.0"] = images.model_files(outputs=4)
    assert [(change.key, change.one, change.other) for change in between(images.parts(), other).signature] == [
        ("output probabilities", "FP32 [?, 3]", "FP32 [?, 4]")
    ]


def test_evidence_is_compared_by_type_and_its_bytes_come_on_top() -> None:
    registry = Memory()
    digest = images.two_platforms(registry)
    one = gather(registry, digest)
    images.attach(registry, digest, "https://slsa.dev/provenance/v1", {}, signed=True)
    other = gather(registry, digest)
    found = difference(one, other)
    assert [(change.key, change.one, change.other) for change in found.attestations] == [
        ("https://slsa.dev/provenance/v1", "", "signed")
    ]
    assert found.bytes_to_send == 0
    assert found.evidence_bytes == other.attestations[0].size_bytes > 0


def test_the_files_that_make_two_layers_differ_are_named() -> None:
    changed = images.parts()
    base = {**images.BASE, "usr/bin/python3": b"Python" * 100, "etc/new": b"n"}
    del base["var/lib/dpkg/status.d/libc6"]
    changed.layers["base: 1 package"] = base
    (first, one), (second, other) = gathered(images.parts()), gathered(changed)
    found = with_files(difference(one, other), first, second)
    for platform in found.platforms:
        files = platform.layers[0].files
        assert files is not None
        assert (files.added, files.removed) == (("etc/new",), ("var/lib/dpkg/status.d/libc6",))
        assert (files.changed, files.retouched) == (("usr/bin/python3",), ())
        assert [layer.files for layer in platform.layers[1:]] == [None, None]


def test_a_changed_layer_that_cannot_be_read_stays_without_its_files() -> None:
    (first, one), (second, other) = gathered(images.parts("1.0.0")), gathered(images.parts("1.1.0"))
    first.blobs.pop(one.platforms[0].layers[2].digest)
    found = with_files(difference(one, other), first, second)
    assert found.platforms[0].layers[2].files is None


@pytest.mark.parametrize("reverse", [False, True])
def test_layers_of_one_purpose_are_paired_in_their_order(reverse: bool) -> None:
    one, other = images.parts(), images.parts()
    given = [{"a": b"1"}, {"b": b"2"}]
    registry = Memory()
    for made, contents in ((one, given), (other, list(reversed(given)) if reverse else given)):
        made.layers = {f"COPY {place}": content for place, content in enumerate(contents)}
    found = difference(
        *(
            gather(registry, images.index(registry, images.image(registry, made)), Options(deep=True))
            for made in (one, other)
        )
    )
    assert [change.kind for change in found.platforms[0].layers] == [Kind.EQUAL, Kind.EQUAL]
    assert found.identical is not reverse
