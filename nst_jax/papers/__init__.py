"""One module a paper: its configuration, its presets with sources, the function that runs it."""

from nst_jax.papers import dumoulin_2017 as dumoulin_2017
from nst_jax.papers import gatys_2016 as gatys_2016
from nst_jax.papers import gatys_2017 as gatys_2017
from nst_jax.papers import huang_2017 as huang_2017
from nst_jax.papers import johnson_2016 as johnson_2016
