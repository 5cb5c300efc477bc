"""Figures on Johnson et al. 2016: one network, one style."""
