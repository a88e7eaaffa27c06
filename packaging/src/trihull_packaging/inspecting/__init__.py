"""`trihull inspect`: what an image is and how two differ, read from wherever it lies and without running anything."""
