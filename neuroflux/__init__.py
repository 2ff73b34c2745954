"""NeuroFlux: one place to see, route and follow orders on several crypto exchanges."""
