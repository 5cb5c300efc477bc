"""One module a paper: its configuration, its presets with sources, the function that runs it."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # at run time __getattr__ loads the paper that is asked for, and no other
    from nst_jax.papers import dumoulin_2017 as dumoulin_2017
    from nst_jax.papers import gatys_2016 as gatys_2016
    from nst_jax.papers import gatys_2017 as gatys_2017
    from nst_jax.papers import ghiasi_2017 as ghiasi_2017
    from nst_jax.papers import huang_2017 as huang_2017
    from nst_jax.papers import johnson_2016 as johnson_2016
    from nst_jax.papers import li_wand_2016 as li_wand_2016
    from nst_jax.papers import ruder_2016 as ruder_2016
    from nst_jax.papers import ruder_2018 as ruder_2018
    from nst_jax.papers import sanakoyeu_2018 as sanakoyeu_2018
    from nst_jax.papers import texler_2020 as texler_2020

__all__ = [
    "dumoulin_2017",
    "gatys_2016",
    "gatys_2017",
    "ghiasi_2017",
    "huang_2017",
    "johnson_2016",
    "li_wand_2016",
    "ruder_2016",
    "ruder_2018",
    "sanakoyeu_2018",
    "texler_2020",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Return a paper's module, which is loaded now."""
        if name in __all__:
            return importlib.import_module(f"nst_jax.papers.{name}")
        raise AttributeError(f"module 'nst_jax.papers' has no attribute {name!r}")

    def __dir__() -> list[str]:
        """Return what is here or would be loaded."""
        return sorted({*globals(), *__all__})
