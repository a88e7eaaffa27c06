"""Faults made by hand, one at a time, in a copy of the sources: which test sees each. `python -m tests.mutation`."""
