"""The installer's own process, against a stand-in for the SDK's installer and a closed port."""

import sys
from pathlib import Path

import pytest

from trihull_infra.engine import installer
from trihull_infra.errors import EngineError


def test_an_address_that_refuses_is_not_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # the discard port: nobody listens there
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert not installer.reachable()


@pytest.mark.parametrize(
    ("program", "timeout_s", "reason"),
    [
        ("import sys; print('curl: (22) not found'); sys.exit(22)", 60.0, r"exit code 22: curl: \(22\) not found"),
        ("import time; time.sleep(300)", 0.5, "did not finish within 0 s"),
    ],
)
def test_an_installer_that_fails_or_hangs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, timeout_s: float, reason: str
) -> None:
    def stand_in(*_arguments: str) -> list[str]:
        return [sys.executable, "-c", program]

    monkeypatch.setattr(installer, "_child", stand_in)
    with pytest.raises(EngineError, match=reason):
        installer.install(tmp_path, lambda _line: None, timeout_s)
