"""Support of Kubernetes versions: dates by cloud, from a dated table with sources, and silence where none was found."""

import datetime
import tomllib
from pathlib import Path

import pytest

from trihull_infra.cloud import Cloud
from trihull_infra.kubernetes_versions import DATA, VERSIONS, Support, read, support


def test_a_version_has_the_dates_of_each_cloud() -> None:
    assert support("1.34") == {
        Cloud.AWS: Support(datetime.date(2026, 12, 2), datetime.date(2027, 12, 2)),
        Cloud.GCP: Support(datetime.date(2027, 1, 25), datetime.date(2027, 11, 25)),
        Cloud.AZURE: Support(datetime.date(2026, 11, 30), datetime.date(2027, 11, 30)),
    }


def test_a_cloud_of_which_nothing_was_found_is_left_out() -> None:
    assert support("1.37").keys() == {Cloud.AZURE}


def test_nothing_is_known_of_another_version() -> None:
    assert support("1.99") == {}


def test_extended_support_ends_after_standard_support() -> None:
    for clouds in VERSIONS.values():
        for one in clouds.values():
            assert one.standard_until
            assert one.extended_until
            assert one.standard_until < one.extended_until


@pytest.mark.parametrize("cloud", Cloud)
def test_a_newer_version_is_supported_longer(cloud: Cloud) -> None:
    ends = [VERSIONS[version][cloud].standard_until for version in sorted(VERSIONS) if cloud in VERSIONS[version]]
    known = [end for end in ends if end]
    assert known == sorted(known)


def test_a_date_that_was_not_found_is_none(tmp_path: Path) -> None:
    path = tmp_path / "kubernetes.toml"
    path.write_text('version = 1\n[versions."1.40".aws]\nextended_until = "2030-01-31"\n')
    assert read(path) == {"1.40": {Cloud.AWS: Support(None, datetime.date(2030, 1, 31))}}


def test_a_table_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kubernetes.toml"
    path.write_text("version = 2\n[versions]\n")
    with pytest.raises(ValueError, match="expected format version 1, found 2"):
        read(path)


def test_the_table_is_dated_and_names_its_sources() -> None:
    text = DATA.read_text()
    assert datetime.date.fromisoformat(tomllib.loads(text)["date"]) >= datetime.date(2026, 11, 1)
    assert "Sources" in text
