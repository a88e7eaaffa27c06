"""What benchmarks make of their samples: the peer to beat, the ratio, and whether a target is reached."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.table import MISSED, Machine, Row, Target, finish

QUIET = Machine(2, "Linux", "3.11.7", (0.1, 0.1, 0.1), (1.0, 0.5, 0.1))


def test_the_median_counts_and_the_fastest_peer_is_the_one_to_beat() -> None:
    row = Row("s", [0.1, 9.0, 0.2], peers={"slow": [4.0, 4.0], "fast": [1.0, 1.2, 90.0]})
    assert (row.ours, row.peer, row.peer_name) == (0.2, 1.2, "fast")
    assert row.ratio == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("target", "ours", "peer", "holds"),
    [
        (Target(), 9.0, None, True),
        (Target(at_most=0.5), 0.5, None, True),
        (Target(at_most=0.5), 0.51, None, False),
        (Target(times=5), 1.0, 5.0, True),
        (Target(times=5), 1.0, 4.9, False),
        (Target(times=5), 1.0, None, False),
        (Target(at_most=0.5, times=5), 0.6, 60.0, False),
        (Target(at_most=0.5, times=5), 0.4, 1.0, False),
    ],
)
def test_a_target_holds_only_when_all_of_it_is_reached(
    target: Target, ours: float, peer: float | None, holds: bool
) -> None:
    assert target.holds(ours, peer) is holds


def test_a_target_says_itself_in_words() -> None:
    assert [str(Target(0.5, 5)), str(Target(times=1 / 0.6)), str(Target())] == ["<= 0.5, >= 5 x", ">= 1.67 x", "stated"]


def test_a_figure_without_a_peer_has_no_ratio() -> None:
    row = Row("MB", [3.0])
    assert (row.peer, row.peer_name, row.ratio, row.holds) == (None, "", None, True)


def test_one_missed_target_is_the_exit_code_and_every_sample_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bench/part.json"
    reached = Row("a: s", [0.1, 0.3], Target(times=2), {"peer 1.0": [1.0]}, "as documented", {"push": [0.05, 0.2]})
    missed = Row("b: s", [2.0], Target(at_most=1.0))
    assert finish("part", [reached], QUIET, path) == 0
    assert finish("part", [reached, missed], QUIET, path) == MISSED
    assert "MISSED" in capsys.readouterr().out
    rows = json.loads(path.read_bytes())["rows"]
    assert rows[0] == {
        "what": "a: s", "ours": 0.2, "peer": 1.0, "peer_name": "peer 1.0", "ratio": 5.0, "target": ">= 2 x",
        "holds": True, "setup": "as documented", "samples": {"ours": [0.1, 0.3], "peer 1.0": [1.0]},
        "parts": {"push": [0.05, 0.2]},
    }  # fmt: skip
    assert rows[1]["holds"] is False


def test_a_busy_machine_is_said_beside_the_figures() -> None:
    busy = Machine(2, "Linux", "3.11.7", (9.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    assert "other work was running" in busy.noise()
    assert "other work" not in QUIET.noise()


def test_what_was_taken_side_by_side_is_compared_side_by_side() -> None:
    calm_and_busy = {"peer": [0.9, 4.0, 0.95]}
    row = Row("us", [1.0, 4.0, 1.0], Target(times=0.95), calm_and_busy, paired=True)
    assert row.ratio == pytest.approx(0.95)
    assert row.holds
    assert not Row("us", [1.0, 5.0, 1.0], Target(times=0.95), calm_and_busy, paired=True).holds
