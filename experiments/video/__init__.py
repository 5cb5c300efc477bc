"""Clips: consistency, sharpness and style."""
