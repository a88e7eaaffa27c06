import pytest

from trihull_packaging.base.sources import Source, own_sources, parse_deb822, parse_list

DEBIAN = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEB822 = f"""\
Types: deb deb-src
# a comment
URIs: http://deb.example.org/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: {KEYRING}

Types: deb
URIs: https://vendor.example.org/node_20.x
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: http://deb.example.org/debian
Suites: bookworm-backports
Components: main

Types: deb-src
URIs: http://deb.example.org/debian
Suites: bookworm
Components: main
"""


def test_a_sources_file_gives_an_entry_per_suite_of_what_is_enabled() -> None:
    found = list(parse_deb822(DEB822))
    assert [(source.suite, source.components) for source in found] == [
        ("bookworm", ("main", "contrib")),
        ("bookworm-updates", ("main", "contrib")),
        ("nodistro", ("main",)),
    ]
    assert found[0].keyring == KEYRING
    assert found[2].keyring is None


def test_a_list_file_gives_its_deb_lines() -> None:
    text = """\
# deb http://a/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://b/debian bookworm main # why
deb-src http://c/debian x main
"""
    assert list(parse_list(text)) == [Source("http://b/debian", "bookworm", ("main",), "/k.gpg")]


@pytest.mark.parametrize(
    "line",
    [
        "deb http://deb.example.org/debian bookworm main contrib",
        "deb http://deb.example.org/debian/ bookworm-updates main",
        "deb http://deb.example.org/debian-security bookworm-security main",
        f"deb [signed-by={KEYRING}] http://mirror.internal/apt/debian bookworm main",
    ],
)
def test_the_distributions_own_archive_is_kept_with_main_and_its_keyring(line: str) -> None:
    (own,) = own_sources(parse_list(line), DEBIAN)
    assert own.components == ("main",)
    assert own.line().startswith(f"deb [signed-by={KEYRING}] ")


@pytest.mark.parametrize(
    "line",
    [
        "deb https://packages.example.com/apt cloud-sdk-bookworm main",
        "deb https://deb.example.com/node_20.x nodistro main",
        "deb [signed-by=/etc/apt/keyrings/d.asc] https://d.example.com/linux/debian bookworm stable",
        "deb [signed-by=/usr/share/keyrings/h.gpg] https://apt.h.example.com bookworm main",
        "deb [signed-by=/usr/share/keyrings/h.gpg] https://apt.h.example.com/debian bookworm main",
        "deb http://deb.example.org/debian trixie main",
        "deb http://apt.p.example.org/pub bookworm-pgdg main",
        "deb http://deb.example.org/debian bookworm contrib",
    ],
)
def test_everything_else_is_left_out(line: str) -> None:
    assert own_sources(parse_list(line), DEBIAN) == ()


def test_entries_come_in_one_order_and_once() -> None:
    lines = [
        "deb http://b/debian bookworm main",
        "deb http://a/debian bookworm main",
        "deb http://b/debian bookworm main",
    ]
    forwards = own_sources(parse_list("\n".join(lines)), DEBIAN)
    assert forwards == own_sources(parse_list("\n".join(reversed(lines))), DEBIAN)
    assert [source.uri for source in forwards] == ["http://a/debian", "http://b/debian"]


def test_an_unknown_distribution_has_no_own_archive() -> None:
    assert own_sources(parse_list("deb http://a/debian bookworm main"), {}) == ()
