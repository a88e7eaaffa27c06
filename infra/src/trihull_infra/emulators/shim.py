"""A plugin as the engine starts it: ask the daemon for a port, print it, stay until the engine lets go.

Run as `python -IS shim.py PACKAGE DAEMON_JSON`: standard library only, few imports, because the engine waits for it.
It speaks HTTP by hand: `http.client` would triple its start time.
"""

import json
import os
import select
import signal
import socket
import stat
import sys


def call(address: dict[str, object], method: str, path: str, body: dict[str, object]) -> dict[str, object]:
    """Send one request to the daemon; return its answer.

    Raises:
        OSError: the daemon does not answer.
        RuntimeError: the daemon refuses; the text is its own.
    """
    data = json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.0\r\nAuthorization: Bearer {address['token']}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", int(str(address["port"]))), timeout=30) as connection:
        connection.sendall(head.encode() + data)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head_received, _, answer = received.partition(b"\r\n\r\n")
    value: dict[str, object] = json.loads(answer)
    if b" 200 " not in head_received.split(b"\r\n")[0]:
        raise RuntimeError(str(value.get("error")))
    return value


def main() -> int:
    """Serve one plugin launch; 0 when the engine let go, 69 when there is no daemon."""
    package, address_file = sys.argv[1], sys.argv[2]
    parent = os.getppid()
    try:
        with open(address_file, encoding="utf-8") as file:  # noqa: PTH123 - pathlib doubles the start time
            address = json.load(file)
        instance = call(address, "POST", f"/plugins/{package}", {"pid": os.getpid()})
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(
            f"the emulated {package} plugin finds no emulators ({error}); start them: trihull emulators start\n"
        )
        return 69
    except RuntimeError as error:
        sys.stderr.write(f"trihull's emulators refuse to serve {package}: {error}\n")
        return 69
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        sys.stdout.write(f"{instance['port']}\n")
        sys.stdout.flush()
        wait_for_end(parent)
    finally:
        drop(address, str(instance["id"]))
    return 0


def drop(address: dict[str, object], instance: str) -> None:
    """Tell the daemon that the engine let go; a daemon that is gone has no instances to drop."""
    try:
        call(address, "DELETE", f"/plugins/{instance}", {})
    except (OSError, ValueError, RuntimeError) as error:
        sys.stderr.write(f"the emulators did not hear that the plugin ended: {error}\n")


def wait_for_end(parent: int) -> None:
    """Return when the engine closes our input, or dies."""
    watch_input = stat.S_ISFIFO(os.fstat(0).st_mode) or stat.S_ISSOCK(os.fstat(0).st_mode)
    while os.getppid() == parent:
        ready, _, _ = select.select([0] if watch_input else [], [], [], 1.0)
        if ready and not os.read(0, 4096):
            return


if __name__ == "__main__":
    sys.exit(main())
