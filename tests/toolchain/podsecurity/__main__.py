"""Build the judge, unless it is there."""

from tests.toolchain import podsecurity

podsecurity.program()
