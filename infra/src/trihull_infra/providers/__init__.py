"""The clouds: packages of the same files with the same functions in the same order (see provider.py)."""
