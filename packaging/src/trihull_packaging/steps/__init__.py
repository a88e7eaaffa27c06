"""The pipeline, one file a step: train, convert, parity, evaluate, layers, index, release. `builder` calls them."""
