"""The pairs that any_style judges on: held-out photographs, each with a held-out painting."""

from pathlib import Path
from typing import NamedTuple

from experiments.common.data_folder import Picture, find_picture, find_style
from nst_jax import files
from nst_jax.array_types import ImageOfAnySize

SIZE = 512  # pixels, the longer side of photographs and of paintings that are compared with

# Drawn once at random, without regard to what is in them. A list keeps them when files are added.
PAIRS = (
    ("bsds_227040.jpg", "wk_adriaen_van_de_venne_dance_of_death.jpg"),
    ("bsds_160068.jpg", "cn_ming_206.jpg"),
    ("inet_n01734418_king_snake.jpg", "wk_abdullah_suriosubroto_indonesian_landscape_1.jpg"),
    ("coco_000000013177.jpg", "cn_ming_155.jpg"),
    ("inet_n03538406_horse_cart.jpg", "wk_albert_bierstadt_on_the_plains_sunset.jpg"),
    ("inet_n03662601_lifeboat.jpg", "aq013_vasnetsov_alyonushka.jpg"),
    ("gc_monuments_ajantacave.jpg", "aq104_titian_salome.jpg"),
    ("bsds_167083.jpg", "wk_albert_gleizes_composition_for_jazz_1915.jpg"),
    ("coco_000000000443.jpg", "aq009_polenov_moscow_yard.jpg"),
    ("inet_n02105641_old_english_sheepdog.jpg", "aq057_velasquez_villa_medici_in_rome_noon.jpg"),
    ("inet_n03763968_military_uniform.jpg", "aq160_caravaggio_rest_on_the_flight_to_egypt.jpg"),
    ("inet_n04589890_window_screen.jpg", "wk_abraham_van_strij_interior_of_wool_and_sheetshop.jpg"),
    ("inet_n03680355_loafer.jpg", "wk_albert_anker_die_kartenlgerin_1880.jpg"),
    ("bsds_249087.jpg", "wk_andrea_del_castagno_crucifixion_and_saints.jpg"),
    ("coco_000000000599.jpg", "wk_albrecht_altdorfer_christ_taking_leave_of_his_mother_1520.jpg"),
    ("coco_000000000368.jpg", "wk_hiroshige_chrysanthemums.jpg"),
    ("inet_n03478589_half_track.jpg", "aq143_repin_cossacks.jpg"),
    ("bsds_176019.jpg", "wk_abraham_van_strij_interior_with_soldier_and_maid.jpg"),
    ("coco_000000000332.jpg", "aq055_surikov_morning_of_the_streltsy_execution.jpg"),
    ("gc_clickgame_sea2.jpg", "aq037_murillo_boy_with_a_dog.jpg"),
)


class Pair(NamedTuple):
    """A photograph, and the painting after which it is painted."""

    name: str
    photograph: Picture
    content: ImageOfAnySize
    painting: Path
    style: ImageOfAnySize


def load_pairs(data: Path, count: int) -> list[Pair]:
    """The first so many pairs."""
    return [
        _load(
            find_picture(data, f"content/heldout/{photograph}"),
            find_picture(data, f"style/heldout/{painting}").path,
        )
        for photograph, painting in PAIRS[:count]
    ]


def after_style(pair: Pair, data: Path, style: str) -> Pair:
    """The pair's photograph with the painting that a network's style is named after."""
    return _load(pair.photograph, find_style(data, style))


def _load(photograph: Picture, painting: Path) -> Pair:
    return Pair(
        f"{photograph.path.stem} after {painting.stem}",
        photograph,
        files.load_image(photograph.path, size=SIZE),
        painting,
        files.load_image(painting, size=SIZE),
    )
