"""What is said of a release: pure functions from facts to predicates. `steps.attest` stores them beside the image."""
