"""What makes a run of a program quick, and the order of what it registers certain; what it registers stays the same."""

import asyncio
import contextlib
import functools
import gc
import sys
import unittest.mock
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pulumi.runtime import resource
from pulumi.runtime.proto import source_pb2


class _AtOnce(ThreadPoolExecutor):
    """Answers calls of the monitor where they are made: in threads the order of registrations would be chance."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed to whoever waits, as a thread's would be
            future.set_exception(error)
        return future


@contextlib.contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Give the loop that one program runs in; it is closed with the block."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(_AtOnce())
    asyncio.set_event_loop(loop)
    thresholds = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)  # a run makes hundreds of thousands of objects, and few of them are cycles
    try:
        # The SDK searches the stack for the line that registers a resource: a fifth of a run, and nobody here reads it.
        with unittest.mock.patch.object(resource, "_get_stack_trace", source_pb2.StackTrace):
            yield loop
    finally:
        loop.close()
        asyncio.set_event_loop(None)
        gc.set_threshold(*thresholds)
        _set_aside(len(sys.modules))


@functools.cache
def _set_aside(modules: int) -> None:
    """Let the collector look through no SDK again: their classes stay anyway."""
    del modules  # once for each time that there are more
    gc.freeze()
