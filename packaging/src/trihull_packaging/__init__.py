"""A model goes in; a checked, evaluated OCI image comes out. Needs neither Pulumi nor Docker."""
