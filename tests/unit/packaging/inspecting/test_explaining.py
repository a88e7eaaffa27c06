"""Why a rebuild is another image, in sentences."""

from tests.unit.packaging.inspecting import images
from tests.unit.packaging.inspecting.images import Memory, Parts
from trihull_packaging.inspecting.difference import difference
from trihull_packaging.inspecting.explaining import reasons
from trihull_packaging.inspecting.facts import ImageFacts
from trihull_packaging.inspecting.filewise import with_files
from trihull_packaging.inspecting.gathering import gather


def gathered(made: Parts, *platforms: str) -> tuple[Memory, ImageFacts]:
    registry = Memory()
    entries = [images.image(registry, made, platform) for platform in platforms or ("linux/amd64",)]
    return registry, gather(registry, images.index(registry, *entries))


def explained(one: tuple[Memory, ImageFacts], other: tuple[Memory, ImageFacts]) -> tuple[str, ...]:
    return reasons(with_files(difference(one[1], other[1]), one[0], other[0]))


def test_identical_images_need_no_reason() -> None:
    assert explained(gathered(images.parts()), gathered(images.parts())) == ()


def test_each_layer_and_the_configuration_have_a_sentence() -> None:
    other = images.parts()
    other.layers["base: 1 package"] = {**images.BASE, **{f"etc/{name}": b"" for name in "abcd\x1b"}}
    other.config["User"] = "0"
    assert explained(gathered(images.parts()), gathered(other)) == (
        "linux/amd64: layer 'base: 1 package' differs (added: etc/\\x1b, etc/a, etc/b and 2 more)",
        "linux/amd64: the configuration differs in user",
    )


def test_another_compressor_an_added_layer_and_a_missing_platform_are_named() -> None:
    other = images.parts()
    other.level = 1
    other.layers["extra"] = {"x": b""}
    sentences = explained(gathered(images.parts(), "linux/amd64", "linux/arm64"), gathered(other))
    assert sentences[0] == "only the first has linux/arm64"
    assert sentences[1] == "linux/amd64: layer 'base: 1 package' holds the same in other bytes: another compressor"
    assert sentences[-1] == "linux/amd64: layer 'extra' is only in the second"


def test_documents_that_say_the_same_in_other_bytes_are_told() -> None:
    registry, one = gathered(images.parts())

    def reorder(manifest: dict[str, object]) -> None:
        manifest["annotations"] = {"any": "thing"}

    other = gather(registry, images.changed(registry, one.digest, reorder))
    assert reasons(difference(one, other)) == (
        "linux/amd64: layers and configuration say the same, but are written in other bytes",
    )
