"""The folder of pictures: what may be used, and how paintings are found."""

import pytest

from experiments.common import data_folder
from nst_jax import files


def test_photographs_are_chosen_by_their_tier(data):
    assert data_folder.free_photographs(data, "content/train") == (
        [data / "content/train/d_road.jpg"],
        {"licence S": 1},
    )
    paths, licences = data_folder.free_photographs(data, "content/heldout")
    assert [path.stem for path in paths] == ["a_hill", "c_tree"]
    assert licences == {"licence A": 2}
    everything = data_folder.pictures_in(data, "content/heldout")
    assert [picture.path.stem for picture in data_folder.spread(everything, 2)] == [
        "a_hill",
        "b_lake",
    ]
    assert data_folder.spread(everything, 9) == everything
    with pytest.raises(FileNotFoundError, match="lists nothing in content/other"):
        data_folder.pictures_in(data, "content/other")


def test_paintings_are_found_by_name_and_known_by_their_hash(data):
    find_style, path = data_folder.find_style, data / "style/train/waves.jpg"
    assert find_style(data, "waves") == path
    assert find_style(data, "waves", sha256=files.sha256_of(path)) == path
    with pytest.raises(ValueError, match=r"style waves: .* is not the file"):
        find_style(data, "waves", sha256="0" * 64)
    with pytest.raises(FileNotFoundError, match=r"style dots: wanted dots\.jpg in"):
        find_style(data, "dots")
