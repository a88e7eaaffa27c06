"""A lock is taken as it is, or refused with what has changed; never silently something else."""

import dataclasses
import platform
from pathlib import Path

import pytest

from tests.unit.packaging.conftest import DIGITS
from tests.unit.runtime.artifacts.images import file, make_image, symlink
from trihull_packaging import bases, builder, lock, spec
from trihull_packaging.base import debian, interpreter
from trihull_packaging.errors import LockError, StepError
from trihull_packaging.lock import Lock, LockedPackage, LockedPlatform, LockedWheel, Training
from trihull_packaging.progress import Progress
from trihull_packaging.steps import lock as locking
from trihull_packaging.steps.lock import Request
from trihull_packaging.wheels import Resolved
from trihull_runtime.contract import ContractError

DIGEST = f"sha256:{'a' * 64}"
WHEEL = LockedWheel("numpy", "2.4.6", "numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl", "b" * 64, 20_000_000)
PLATFORM = LockedPlatform((DIGEST,), (LockedPackage("libc6", "2.36-9+deb12u14", "c" * 64),), (WHEEL,))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHULL_CACHE", str(tmp_path / "cache"))


def request(model: Path = DIGITS, base: str | None = None) -> Request:
    read = spec.load(model)
    return Request("server", read.image, base, Path(), read, model, "model.lock", "trihull package M --lock")


def locked(model: Path = DIGITS, **changes: object) -> Lock:
    made = Lock(
        version=1,
        inputs=request(model).inputs(),
        base="debian bookworm",
        python="3.11",
        compressor=lock.compressor(),
        substitutions={},
        training=Training(platform.python_version()),
        platforms={"linux/amd64": PLATFORM},
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # names are given by the tests below


def write_lock(model: Path) -> None:
    """Write a lock into a model's folder by which it is trained at once; the image's packages are made up."""
    locked(model).write(model / "model.lock")


def test_a_lock_survives_being_written_and_read(tmp_path: Path) -> None:
    made = locked()
    made.write(tmp_path / "model.lock")
    assert Lock.read(tmp_path / "model.lock") == made
    assert locking.read(request(), tmp_path / "model.lock") == made


def copy_of_digits(folder: Path) -> Path:
    model = folder / "model"
    model.mkdir()
    for name in ("model.yaml", "requirements.txt", "train.py"):
        (model / name).write_bytes((DIGITS / name).read_bytes())
    return model


@pytest.mark.parametrize(
    ("name", "old", "new", "changed"),
    [
        ("requirements.txt", "# via", "# by way of", "requirements.txt"),
        ("model.yaml", "train:\n", "image: {gpu: true}\ntrain:\n", "image of model.yaml"),
        ("model.yaml", "train:\n", "image: {platforms: [linux/arm64]}\ntrain:\n", "image of model.yaml"),
    ],
)
def test_a_lock_is_stale_when_what_it_was_made_from_has_changed(
    tmp_path: Path, name: str, old: str, new: str, changed: str
) -> None:
    model = copy_of_digits(tmp_path)
    made = locked(model)
    text = (model / name).read_text(encoding="utf-8")
    (model / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(
        LockError, match=f"is stale: since it was made, {changed} changed; run `trihull package M --lock`"
    ):
        lock.check(made, request(model).inputs(), "model.lock", request(model).again)


def test_budgets_do_not_make_a_lock_stale(tmp_path: Path) -> None:
    model = copy_of_digits(tmp_path)
    made = locked(model)
    with (model / "model.yaml").open("a", encoding="utf-8") as text:
        text.write("image: {budgets_mb: {model: 1}}\n")
    lock.check(made, request(model).inputs(), "model.lock", "again")
    assert spec.load(model).image.budgets_mb.model == 1


def test_another_base_than_the_locks_is_refused() -> None:
    other = request(base=f"oci-layout://x@{DIGEST}")
    with pytest.raises(LockError, match="since it was made, the base changed"):
        lock.check(locked(), other.inputs(), "model.lock", "again")


def test_another_compressor_than_the_locks_is_refused() -> None:
    with pytest.raises(LockError, match=r"compressed by zlib-ng 0\.5\.1, and this trihull has zlib-ng \d"):
        lock.check(locked(compressor="zlib-ng 0.5.1"), request().inputs(), "model.lock", "again")


@pytest.mark.parametrize("text", ["", "{}", '{"version": 2}', '{"version": 1, "inputs": {}}', "[1]"])
def test_what_is_no_lock_is_refused_and_nothing_is_built(tmp_path: Path, text: str) -> None:
    model = copy_of_digits(tmp_path)
    (model / "model.lock").write_text(text, encoding="utf-8")
    with pytest.raises(ContractError, match=r"model\.lock"):
        builder.package_model(model, tmp_path / "out", builder.Options(), Progress())
    assert not (tmp_path / "out").exists()


def test_an_option_smuggled_into_a_lock_is_refused() -> None:
    value = locked().to_value()
    value["platforms"]["linux/amd64"]["wheels"][0]["name"] = "--index-url=http://evil.invalid"
    with pytest.raises(ContractError, match=r"wheels\[0\]\.name"):
        Lock.from_value(value)


def test_a_missing_lock_is_refused_where_one_is_asked_for(tmp_path: Path) -> None:
    model = copy_of_digits(tmp_path)
    with pytest.raises(LockError, match=r"model\.lock: is not there; run `trihull package .*model --lock`"):
        builder.package_model(model, tmp_path / "out", builder.Options(locked=True), Progress())
    assert not (tmp_path / "out").exists()


def test_a_base_of_another_distribution_is_not_replaced_by_this_ones() -> None:
    with pytest.raises(LockError, match=r"packages of plan9 fourth, and this machine's archive is .*build there"):
        debian.locked("amd64", None, PLATFORM.base_packages, "plan9 fourth", "model.lock")


def test_a_base_that_comes_out_differently_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [file("usr/bin/python3.11"), symlink("usr/bin/python3", "python3.11")]
    digest = make_image(tmp_path / "base", entries)
    compiler = interpreter.Interpreter((), {}, "3.11", ())
    monkeypatch.setattr("trihull_packaging.base.given.of_root", lambda root, key: compiler)
    reference = f"oci-layout://{tmp_path}/base@{digest}"
    with pytest.raises(LockError, match=f"comes out as sha256:[0-9a-f]+, not as the {DIGEST} that it names"):
        bases.locked(locked(), reference, Path(), "model.lock")


def test_wheels_beyond_the_budget_are_named_before_they_are_downloaded() -> None:
    wheels = tuple(
        LockedWheel(name, "1.0", f"{name}-1.0-py3-none-any.whl", "d" * 64, size)
        for name, size in (("small", 1_000_000), ("xgboost", 414_000_000), ("unknown", None))
    )
    with pytest.raises(
        StepError, match=r"linux/amd64: the wheels have 415 MB, .* is 120; largest: xgboost 1\.0 \(414 MB\)"
    ):
        locking.check_sizes({"linux/amd64": Resolved(wheels, {})}, spec.BudgetSpec())
    locking.check_sizes({"linux/amd64": Resolved(wheels, {})}, spec.BudgetSpec(dependencies=500))
