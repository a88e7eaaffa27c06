"""Compares the answers of every site and every router of an environment with those of the released model."""
