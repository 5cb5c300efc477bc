"""Trained networks for other programs: as ONNX graphs, and as StableHLO.

The graphs take pictures of any size, (1, height, width, 3) of RGB in [0, 1], and answer what the
stylizers do. The library onnx is loaded where a graph is made.
"""
