"""Ruder et al. 2016: clips by optimising pixels, measured."""
