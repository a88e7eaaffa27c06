"""The parts of an environment file, one module for each: typed, neutral to the clouds, each key described.

What only one cloud is asked for stands beside its provider: `providers/<cloud>/spec.py`. `environment.py` puts all of
it together.
"""
