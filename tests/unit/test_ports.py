"""Reserved ports: nobody gets the same twice, however many processes ask at once."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ports
from tests.ports import CANDIDATES, HOST, free_ports

ROOT = Path(__file__).parents[2]
TAKES = """
import os, sys
from tests import ports
if candidates := sys.argv[2:]:
    ports.CANDIDATES = tuple(map(int, candidates))
print("begins", flush=True)
sys.stdin.readline()
print(*ports.free_ports(int(sys.argv[1])), flush=True)
sys.stdin.readline()
"""
FORKS = """
import os
from tests.ports import free_ports
before = free_ports(200)
reader, writer = os.pipe()
child = os.fork()
os.write(1, f"{before + free_ports(200)}\\n".encode())  # at once: two processes write here
os.close(writer)
if child:
    os.waitpid(child, 0)
else:
    os.read(reader, 1)  # a process that ends gives its ports back: not before the parent has its own
"""


def taker(count: int, *candidates: int, folder: Path | None = None) -> "subprocess.Popen[str]":
    """A process that takes ports once it reads a line, prints them, and keeps them until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", TAKES, str(count), *map(str, candidates)],
        cwd=ROOT,
        env={**os.environ, **({"TMPDIR": str(folder)} if folder else {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    return process


def begin(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def taken(process: "subprocess.Popen[str]") -> list[int]:
    assert process.stdout is not None
    return [int(text) for text in process.stdout.readline().split()]


def test_processes_that_take_hundreds_at_once_get_none_twice() -> None:
    processes = [taker(600) for _ in range(4)]
    try:
        for process in processes:
            begin(process)
        every = [port for process in processes for port in taken(process)] + free_ports(50)
    finally:
        for process in processes:
            process.communicate()
    assert len(every) == 2450
    assert len(set(every)) == len(every)
    assert set(every) <= set(CANDIDATES)


def test_a_process_never_gets_a_port_twice_and_its_forked_child_none_of_them() -> None:
    result = subprocess.run([sys.executable, "-c", FORKS], cwd=ROOT, capture_output=True, text=True, check=True)
    parent, child = (set(json.loads(line)) for line in result.stdout.splitlines())
    assert len(parent) == len(child) == 400
    assert len(parent | child) == 600  # what was reserved before the fork stands in both lines


def test_a_port_is_free_again_when_its_process_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = free_ports(2)  # of the machine's own file, so that no other test takes them meanwhile
    monkeypatch.setattr(ports, "_reserved", set())
    monkeypatch.setattr(ports, "_descriptors", [])
    monkeypatch.setattr(ports, "CANDIDATES", tuple(pair))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    process = taker(2, *pair, folder=tmp_path)
    try:
        begin(process)
        assert set(taken(process)) == set(pair)
        with pytest.raises(OSError, match=r"expected 1 free ports on 127\.0\.0\.1, got 0"):
            free_ports(1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert set(free_ports(2)) == set(pair)


@pytest.mark.parametrize("listens", [True, False])
def test_a_port_in_use_is_passed_over(listens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    used, unused = free_ports(2)
    monkeypatch.setattr(ports, "_reserved", set())
    monkeypatch.setattr(ports, "CANDIDATES", (used, unused))
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((HOST, used))
        if listens:
            other.listen()
        assert free_ports(1) == [unused]
        with pytest.raises(OSError, match="expected 1 free ports"):
            free_ports(1)


def test_ports_are_outside_the_range_of_outgoing_connections_as_long_as_there_are_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "EPHEMERAL", tmp_path / "range")
    (tmp_path / "range").write_text("10000\t64999\n")
    assert all(port >= 65000 for port in free_ports(100))
    (tmp_path / "range").write_text("1024\t65535\n")
    assert len(free_ports(100)) == 100
