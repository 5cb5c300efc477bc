"""Optimising pixels: the picture is the parameter."""
