import signal
import threading

import pytest

from tests.signals import disposition
from trihull_runtime import signals


def interrupted(done: list[str], error: Exception | None = None) -> None:
    with signals.delayed():
        signal.raise_signal(signal.SIGINT)
        done.append("went on")
        if error is not None:
            raise error


def test_an_interrupt_is_raised_at_the_end_of_the_block() -> None:
    done: list[str] = []
    with disposition(signal.SIGINT, signal.default_int_handler):
        with pytest.raises(KeyboardInterrupt):
            interrupted(done)
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert done == ["went on"]


def test_an_interrupt_is_raised_also_when_the_block_fails() -> None:
    error = OSError("there is no such program")
    with disposition(signal.SIGINT, signal.default_int_handler), pytest.raises(KeyboardInterrupt) as caught:
        interrupted([], error)
    assert caught.value.__context__ is error


@pytest.mark.parametrize("action", [signal.SIG_IGN, signal.SIG_DFL])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_handler_a_signal_keeps_its_action(number: signal.Signals, action: signal.Handlers) -> None:
    with disposition(number, action):
        with signals.delayed():
            assert signal.getsignal(number) == action
        assert signal.getsignal(number) == action


def test_in_other_threads_nothing_is_changed() -> None:
    handlers: list[object] = []

    def look() -> None:
        with signals.delayed():
            handlers.append(signal.getsignal(signal.SIGINT))

    with disposition(signal.SIGINT, signal.default_int_handler):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert handlers == [signal.default_int_handler]
