"""Figures on Gatys et al. 2017: control of place, colour and scale."""
