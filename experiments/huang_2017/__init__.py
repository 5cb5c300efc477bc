"""Figures on Huang and Belongie 2017: one network, any style."""
