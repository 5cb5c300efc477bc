"""Figures on Gatys et al. 2015 and 2016, and their presets beside PyTorch."""
