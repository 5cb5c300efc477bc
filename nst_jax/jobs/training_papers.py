"""The papers whose networks can be trained, by the names of their networks."""

from collections.abc import Mapping

from nst_jax.papers import (
    dumoulin_2017,
    ghiasi_2017,
    huang_2017,
    johnson_2016,
    li_wand_2016,
    ruder_2018,
    sanakoyeu_2018,
    texler_2020,
)
from nst_jax.train import TrainingPaper

TRAINING_PAPERS: Mapping[str, TrainingPaper] = {
    module.TRAINING.name: module.TRAINING
    for module in (
        johnson_2016,
        dumoulin_2017,
        huang_2017,
        ghiasi_2017,
        ruder_2018,
        li_wand_2016,
        sanakoyeu_2018,
        texler_2020,
    )
}
"""One record a paper; a further paper is one more entry."""
