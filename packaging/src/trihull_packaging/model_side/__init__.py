"""Scripts that run in the model's own environment, never here: they import its packages and nothing of trihull.

Each takes the path of a JSON job and ends with 0, or says on standard error what is wrong and ends with 65.
"""
