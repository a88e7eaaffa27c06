"""What forces a replacement: every row says where that was read."""

import re
import tomllib
from importlib import resources

import pytest

ROWS = [
    (cloud, token, row)
    for cloud in ("aws", "azure", "gcp")
    for token, row in tomllib.loads(
        resources.files("trihull_infra.emulators.recorder").joinpath("replaces", f"{cloud}.toml").read_text("utf-8")
    ).items()
]


def test_every_cloud_has_rows() -> None:
    assert {cloud for cloud, _, _ in ROWS} == {"aws", "azure", "gcp"}


@pytest.mark.parametrize(("token", "row"), [(token, row) for _, token, row in ROWS], ids=[row[1] for row in ROWS])
def test_a_row_names_file_and_commit_that_were_read(token: str, row: dict[str, object]) -> None:
    assert row.keys() == {"properties", "source"}
    assert re.search(r"[\w-]+/[\w-]+ [^@]+ @[0-9a-f]{8,40}\b", str(row["source"])), row["source"]
    assert "not looked up" not in str(row["source"])
