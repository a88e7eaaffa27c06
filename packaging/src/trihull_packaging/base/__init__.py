"""The lowest layers: a Python that runs, and nothing that needs a shell or root to make."""
