"""Evidence of a release: statements about an image, signed or not, kept beside it, and whether they hold."""
