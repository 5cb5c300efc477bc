"""Figures on Dumoulin et al. 2017: one network, many styles."""
