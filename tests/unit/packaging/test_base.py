import io
import struct
from pathlib import Path

import pytest

from tests.unit.packaging.conftest import DIGITS
from tests.unit.runtime.artifacts.images import file, make_image, symlink
from trihull_packaging import builder
from trihull_packaging.base import apt, given, interpreter, merging
from trihull_packaging.errors import SpecError, StepError, ToolError
from trihull_packaging.progress import Progress
from trihull_runtime.artifacts.errors import LayoutError

COMPILER = interpreter.Interpreter((), {}, "3.11", ())


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHULL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("./lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("./usr/lib/python3.11/os.py", "usr/lib/python3.11/os.py"),
        ("./usr/bin/python3.11", "usr/bin/python3.11"),
        ("./etc/ssl/openssl.cnf", "etc/ssl/openssl.cnf"),
        ("./usr/share/doc/libc6/copyright", "usr/share/doc/libc6/copyright"),
        ("./", None),
        ("./lib", None),
        ("./bin/sh", None),
        ("./usr/bin/perl", None),
        ("./sbin/ldconfig", None),
        ("./usr/share/man/man1/python3.1.gz", None),
        ("./usr/share/doc/libc6/changelog.gz", None),
        ("./usr/share/locale/de/LC_MESSAGES/x.mo", None),
        ("./usr/lib/x86_64-linux-gnu/gconv/IBM037.so", None),
        ("./usr/lib/../../etc/passwd", None),
    ],
)
def test_a_packages_entry_goes_where_a_python_process_looks_or_nowhere(name: str, place: str | None) -> None:
    assert merging.placed(name) == place


def test_without_apt_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"apt-get is not installed: give a base of your own with --base oci-layout://"):
        apt.machine_sources()


def test_a_download_with_another_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("apt-get", "apt-config"):  # this one "downloads" a file that nobody signed
        (tools / tool).write_text("#!/bin/sh\ncase $* in *download*) echo evil > python3_1_all.deb;; esac\n")
        (tools / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    machine = apt.Apt(tmp_path / "apt", (), "amd64")
    with pytest.raises(ToolError, match="python3 1: no downloaded file has the index's SHA-256"):
        machine.download((apt.Package("python3", "1", "0" * 64, ""),))


def test_the_private_apt_knows_nothing_of_the_machines_but_how_to_reach_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    dump = """\
Acquire::http::Proxy "http://proxy.invalid:3128";
DPkg::Post-Invoke:: "rm -rf /";
APT::Architecture "s390x";
"""
    (tools / "apt-config").write_text(f"#!/bin/sh\ncat <<'E'\n{dump}E\n")
    (tools / "apt-config").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    apt.Apt(tmp_path / "apt", (), "arm64")
    text = (tmp_path / "apt/apt.conf").read_text()
    assert 'Acquire::http::Proxy "http://proxy.invalid:3128";' in text
    assert "Post-Invoke" not in text
    assert "s390x" not in text
    assert 'APT::Architecture "arm64";' in text


def python_root(root: Path, *links: tuple[str, str]) -> Path:
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/python3.11").write_bytes(b"x")
    for name, target in links:
        (root / "usr/bin" / name).symlink_to(target)
    return root


@pytest.mark.parametrize("target", ["python3.11", "/usr/bin/python3.11"])
def test_the_version_of_the_bases_python_is_found(tmp_path: Path, target: str) -> None:
    assert interpreter.find_python(python_root(tmp_path, ("python3", target))) == "3.11"


@pytest.mark.parametrize("links", [[], [("python3", "python3.12")], [("python3", "python3")]])
def test_a_base_without_python_is_refused(tmp_path: Path, links: list[tuple[str, str]]) -> None:
    with pytest.raises(StepError, match="has no /usr/bin/python3"):
        interpreter.find_python(python_root(tmp_path, *links))


def elf(loader: bytes) -> bytes:
    head = b"\x7fELF\x02\x01" + bytes(26) + struct.pack("<Q", 64) + bytes(14) + struct.pack("<HH", 56, 1) + bytes(6)
    return head + struct.pack("<IIQQQQ", 3, 0, 120, 0, 0, len(loader)) + bytes(16) + loader


def test_the_loader_is_the_one_that_the_program_names(tmp_path: Path) -> None:
    (tmp_path / "python").write_bytes(elf(b"/lib64/ld.so\0"))
    assert interpreter._loader(tmp_path / "python") == "/lib64/ld.so"


def test_a_base_for_another_kind_of_machine_is_refused(tmp_path: Path) -> None:
    (tmp_path / "python").write_bytes(b"MZ" + bytes(100))
    with pytest.raises(ToolError, match="is no 64-bit Linux program"):
        interpreter._loader(tmp_path / "python")


def test_a_given_base_has_the_layers_of_its_image(tmp_path: Path) -> None:
    entries = [file("usr/bin/python3.11"), symlink("usr/bin/python3", "python3.11")]
    digest = make_image(tmp_path / "base", entries, [file("etc/x")])
    base = given.given_base(f"oci-layout://base@{digest}", "amd64", tmp_path, COMPILER)
    assert (base.python_version, len(base.layers)) == ("3.11", 2)
    assert (base.root / "etc/x").exists()
    assert [layer.media_type for layer in base.layers] == ["application/vnd.oci.image.layer.v1.tar+gzip"] * 2


def test_a_given_base_may_have_plain_layers(tmp_path: Path) -> None:
    entries = [file("usr/bin/python3.11"), symlink("usr/bin/python3", "python3.11")]
    digest = make_image(tmp_path / "base", entries, compressed=False)
    base = given.given_base(f"oci-layout://{tmp_path}/base@{digest}", "amd64", Path(), COMPILER)
    assert base.layers[0].media_type == "application/vnd.oci.image.layer.v1.tar"
    assert base.layers[0].digest == base.layers[0].diff_id


@pytest.mark.parametrize(
    "reference", ["debian:12", "oci-layout://x", "oci-layout://x@sha256:12", "docker://x@sha256:" + "0" * 64]
)
def test_what_is_no_reference_to_a_layout_is_refused(reference: str) -> None:
    with pytest.raises(SpecError, match="expected oci-layout://PATH@sha256"):
        given.given_base(reference, "amd64", Path(), None)


def test_a_given_base_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="is not an OCI layout"):
        given.given_base(f"oci-layout://nowhere@sha256:{'0' * 64}", "amd64", tmp_path, None)


@pytest.mark.parametrize("base", ["debian:12", f"oci-layout://nowhere@sha256:{'0' * 64}"])
def test_a_wrong_base_is_refused_before_the_model_is_trained(tmp_path: Path, base: str) -> None:
    progress = Progress(io.StringIO())
    with pytest.raises((SpecError, LayoutError)):
        builder.package_model(DIGITS, tmp_path / "out", builder.Options(base=base), progress)
    assert progress.seconds == {}
    assert not (tmp_path / "out").exists()
