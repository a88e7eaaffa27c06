"""A cluster that is there already: nothing is provisioned."""
