"""How near any-style networks and optimisation come to a painting, and what it costs in content."""
