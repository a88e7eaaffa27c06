"""The plugin protocol on the SDK's raw stubs, and the providers behind it."""
