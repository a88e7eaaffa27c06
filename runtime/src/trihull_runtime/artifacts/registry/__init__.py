"""Where images lie. `layout`: on disk, in the form of the OCI image layout specification."""
