"""Every result of this repository: a package a paper, run as python -m experiments.<paper>."""
