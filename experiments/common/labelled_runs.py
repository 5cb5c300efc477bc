"""Runs of gatys_2016 for the cells of a sheet: each labelled, its record kept."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.common.contact_sheet import Cell
from nst_jax.array_types import ImageOfAnySize
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import gatys_2016
from nst_jax.papers.gatys_2016 import Config
from nst_jax.regions.masks import Mask


class LabelledRuns:
    """Paints by optimisation, by the preset default at --size and --num-steps.

    Attributes:
        network: The encoder and its parameters.
        base: What runs are painted by unless they say otherwise.
        records: By label, of each run's losses the first and the last.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.network = load_encoder("vgg16")
        self.base = dataclasses.replace(gatys_2016.PRESETS["default"], size=options.size)
        if options.num_steps is not None:
            self.base = dataclasses.replace(self.base, num_steps=options.num_steps)
        self.records: dict[str, Any] = {}

    def paint(
        self,
        label: str,
        content: ImageOfAnySize,
        styles: Sequence[ImageOfAnySize],
        *,
        config: Config | None = None,
        masks: Any = None,
        style_masks: Sequence[Mask] | None = None,
    ) -> Cell:
        """One labelled run."""
        image, record = gatys_2016.stylize(
            content,
            list(styles),
            config or self.base,
            *self.network,
            masks=masks,
            style_masks=style_masks,
        )
        self.note(label, record)
        return image[0], label

    def note(self, label: str, record: Mapping[str, Any]) -> None:
        """Keep the record of a run that was made elsewhere."""
        steps = [record["info"]["initial"], record["steps"][-1]]
        self.records[label] = {**record, "steps": steps}
        print(f"{label}: {record['seconds']['run']:.0f} s", flush=True)
