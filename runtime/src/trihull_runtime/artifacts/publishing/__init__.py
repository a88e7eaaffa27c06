"""`trihull publish`: a release into the registries of every site, side by side."""
