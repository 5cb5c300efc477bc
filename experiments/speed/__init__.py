"""Timings: each paper beside PyTorch, and what controls and sweeps cost."""
