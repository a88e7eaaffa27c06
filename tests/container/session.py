"""A session that never ends by itself, for the test that kills one: both engines, each with a running container.

`python -m tests.container.session REFERENCE` prints its folder when all of it runs.
"""

import signal
import sys

from tests.container import engines


def main(reference: str) -> None:
    """Start everything and wait for a signal."""
    with (
        engines.folder_of("session") as folder,
        engines.docker(folder / "docker") as docker,
        engines.containerd(folder / "containerd") as containerd,
        engines.network() as (name, host),
    ):
        docker("pull", reference)
        containerd.pull(reference)
        with docker.container(reference) as (_, one), containerd.container(reference, name, host) as other:
            one.wait_ready()
            other.wait_ready()
            print(folder, flush=True)
            signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
