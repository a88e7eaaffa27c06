"""How progress is shown: plain lines where nobody watches, one spinner on a terminal."""

import io
from concurrent.futures import ThreadPoolExecutor

from trihull_packaging.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_moves_fast_says_nothing_where_nobody_watches() -> None:
    stream = io.StringIO()
    with Progress(stream, lambda: 0.0).moving("reading layers", 1000) as count:
        count(1000)
    assert stream.getvalue() == ""


def test_what_takes_long_is_a_line_every_ten_seconds_where_nobody_watches() -> None:
    times = iter([0.0, 4.0, 11.0, 12.0, 21.5])
    stream = io.StringIO()
    with Progress(stream, lambda: next(times)).moving("reading layers", 40_000_000) as count:
        for _ in range(4):
            count(10_000_000)
    assert stream.getvalue().splitlines() == ["reading layers: 20.0 of 40.0 MB", "reading layers: 40.0 of 40.0 MB"]


def test_pieces_from_several_threads_are_all_counted() -> None:
    stream = io.StringIO()
    now = [0.0]
    with Progress(stream, lambda: now[0]).moving("sending", 2_000_000) as count:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(count, [1000] * 2000))
        now[0] = 60.0
        count(0)
    assert stream.getvalue() == "sending: 2.0 of 2.0 MB\n"


def test_what_moves_within_a_step_is_said_by_the_step_s_own_spinner() -> None:
    stream = Terminal()
    times = iter(float(second) for second in range(10))
    progress = Progress(stream, lambda: next(times))
    with progress.step("push", "to a registry") as note, progress.moving("sending blobs", 8_000_000) as count:
        assert progress._spinner is not None
        count(4_000_000)
        assert str(progress._spinner.status) == "sending blobs: 4.0 of 8.0 MB"
        note.text = "done"
    assert progress._spinner is None
    assert stream.getvalue().splitlines()[-1].endswith("s  done")


def test_a_terminal_keeps_nothing_of_what_moved() -> None:
    stream = Terminal()
    with Progress(stream, lambda: 0.0).moving("reading [red]layers", 1000):
        pass
    assert "reading [red]layers" in stream.getvalue(), "names are shown as they are"
    assert not stream.getvalue().rpartition("\x1b[2K")[2].strip("\r\n\x1b[?25h")
