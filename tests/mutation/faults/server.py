"""Faults in the model server: codecs, admission, drain, TLS."""

from tests.mutation.fault import Area, Fault

CODECS = "runtime/src/trihull_runtime/server/codecs.py"
APP = "runtime/src/trihull_runtime/server/app.py"
PROCESS = "runtime/src/trihull_runtime/server/process.py"
TLS = "runtime/src/trihull_runtime/server/tls.py"
TESTS = "tests/unit/runtime/server"

FAULTS = (
    Fault(
        "server-trailing-bytes",
        Area.SERVER,
        CODECS,
        "    if len(rest):\n        raise RequestError(f",
        "    if len(rest) and header_size is None:\n        raise RequestError(f",
        "bytes after the last binary tensor are ignored",
        (f"{TESTS}/test_codecs.py",),
    ),
    Fault(
        "server-byte-order",
        Area.SERVER,
        CODECS,
        'dtype = NUMPY_TYPES[tensor.datatype].newbyteorder("<")',
        'dtype = NUMPY_TYPES[tensor.datatype].newbyteorder(">")',
        "binary tensors are read in the wrong byte order",
        (f"{TESTS}/test_codecs.py",),
    ),
    Fault(
        "server-infinity-in-binary",
        Area.SERVER,
        CODECS,
        '        if array.dtype.kind == "f" and not np.isfinite(array).all():\n'
        '            raise RequestError(f"input {given.name!r} holds NaN or Infinity")',
        '        if array.dtype.kind == "f" and np.isnan(array).any():\n'
        '            raise RequestError(f"input {given.name!r} holds NaN or Infinity")',
        "Infinity reaches the model through a binary tensor",
        (f"{TESTS}/test_codecs.py",),
    ),
    Fault(
        "server-undefined-bool",
        Area.SERVER,
        CODECS,
        "array = np.frombuffer(blob, np.uint8) != 0 if",
        "array = np.frombuffer(blob, np.bool_) if",
        "a byte of 2 becomes a bool that is neither true nor false",
        (f"{TESTS}/test_codecs.py",),
    ),
    Fault(
        "server-admission-off-by-one",
        Area.SERVER,
        APP,
        "if self.pending() > self.max_in_flight:",
        "if self.pending() >= self.max_in_flight:",
        "the limit is one less than what was set, and 1 lets nobody in",
        (f"{TESTS}/test_app.py",),
    ),
    Fault(
        "server-overload-without-retry-after",
        Area.SERVER,
        APP,
        "raise HttpError(503, str(error), _retry_after(error.retry_after_s)) from error",
        "raise HttpError(503, str(error)) from error",
        "clients that are turned away come back at once",
        (f"{TESTS}/test_app.py",),
    ),
    Fault(
        "server-body-limit-of-chunks",
        Area.SERVER,
        APP,
        "                    if size > self.max_body_bytes:\n",
        "                    if len(chunks[-1]) > self.max_body_bytes:\n",
        "a body without a length may be of any size",
        (
            f"{TESTS}/test_app.py::test_a_body_of_parts_that_are_small_each_is_413_as_soon_as_they_are_too_much_together",
        ),
    ),
    Fault(
        "server-ready-while-draining",
        Area.SERVER,
        APP,
        "return self.loaded and not self.draining",
        "return self.loaded",
        "routers go on sending to a server that is leaving",
        (f"{TESTS}/test_life.py::test_a_drain_says_not_ready_serves_on_and_loses_nothing",),
    ),
    Fault(
        "server-drain-without-grace",
        Area.SERVER,
        PROCESS,
        "await asyncio.wait(servers, timeout=settings.drain_grace_s,",
        "await asyncio.wait(servers, timeout=0,",
        "requests that routers still send are refused",
        (f"{TESTS}/test_life.py::test_a_drain_says_not_ready_serves_on_and_loses_nothing",),
    ),
    Fault(
        "server-any-client",
        Area.SERVER,
        TLS,
        "context.verify_mode = ssl.CERT_REQUIRED",
        "context.verify_mode = ssl.CERT_OPTIONAL",
        "whoever shows no certificate is let in",
        (f"{TESTS}/test_mutual_tls.py",),
    ),
)
