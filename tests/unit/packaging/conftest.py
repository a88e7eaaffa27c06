"""Where the digits model lies."""

from pathlib import Path

DIGITS = Path(__file__).parents[3] / "stacks" / "models" / "digits"
