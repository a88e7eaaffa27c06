"""What provisions: Pulumi programs, providers, the engine, emulators, deploys and drills."""
