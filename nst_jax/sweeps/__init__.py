"""Ablations: many runs of papers.gatys_2016 that differ in a few settings, and a report on them.

    grid = sweeps.make_grid(base, {"style_weight": [5, 50, 500], "style_layers": ["cumulative"]})
    sweep = sweeps.run_grid(content_path, [style_path], grid, folder)
    sweeps.write_report(sweep)

Imported by its own name, nst_jax.sweeps. A run that a folder holds is not repeated.
"""

from nst_jax.losses.layer_text import equal_weights as equal_weights
from nst_jax.sweeps.axes import Axis as Axis
from nst_jax.sweeps.axes import describe_value as describe_value
from nst_jax.sweeps.axes import make_axis as make_axis
from nst_jax.sweeps.grid import Grid as Grid
from nst_jax.sweeps.grid import Run as Run
from nst_jax.sweeps.grid import make_grid as make_grid
from nst_jax.sweeps.report import write_report as write_report
from nst_jax.sweeps.running import Outcome as Outcome
from nst_jax.sweeps.running import Sweep as Sweep
from nst_jax.sweeps.running import run_grid as run_grid
from nst_jax.sweeps.tables import describe_runs as describe_runs
from nst_jax.sweeps.tables import describe_settings as describe_settings
