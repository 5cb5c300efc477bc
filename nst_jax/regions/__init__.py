"""Regions of pictures that have styles of their own: masks, guidance channels, a run's regions."""
