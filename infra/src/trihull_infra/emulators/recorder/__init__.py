"""What any type of an SDK looks like, read from the SDK itself, and what its cloud would answer."""
