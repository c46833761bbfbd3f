"""A picture has the same id by whatever name of its file it is called."""

import pytest

from openmmb.vision.image_ids import image_id_of


@pytest.mark.parametrize("name", ["lynx", "lynx.jpg", "photos/2024/lynx.PNG", "/lynx.tiff"])
def test_folder_and_suffix_are_no_part_of_an_id(name: str) -> None:
    assert image_id_of(name) == "lynx"


def test_what_is_no_pictures_suffix_is_part_of_the_id() -> None:
    assert image_id_of("photos/no.7") == "no.7"
