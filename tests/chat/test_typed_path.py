"""A path means the same file however it is typed, quoted, escaped, dropped or written as a URL."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmmb.chat.typed_path import is_dropped_picture, parse_path, parse_picture
from openmmb.errors import ImageError

PHOTO = Path("/home/a/my photos/a dog.jpg")


@pytest.mark.parametrize(
    "text",
    [
        "/home/a/my photos/a dog.jpg",
        "  /home/a/my photos/a dog.jpg \n",
        "'/home/a/my photos/a dog.jpg'",
        '"/home/a/my photos/a dog.jpg"',
        "\N{LEFT DOUBLE QUOTATION MARK}/home/a/my photos/a dog.jpg\N{RIGHT DOUBLE QUOTATION MARK}",
        r"/home/a/my\ photos/a\ dog.jpg",
        "'/home/a/my photos'/'a dog.jpg'",
        "file:///home/a/my%20photos/a%20dog.jpg",
        "file:/home/a/my%20photos/a%20dog.jpg",
        "file://localhost/home/a/my%20photos/a%20dog.jpg",
        "FILE:///home/a/my photos/a dog.jpg",
        "'file:///home/a/my%20photos/a%20dog.jpg'",
    ],
)
def test_every_way_to_write_a_path_names_its_file(text: str) -> None:
    assert parse_path(text) == PHOTO
    assert parse_picture(text) == PHOTO


def test_a_name_that_there_is_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("'dog'.jpg", r"a\ dog.jpg", "100%20.jpg", "it's.jpg", '"a" and "b".jpg'):
        (tmp_path / name).touch()
        assert parse_path(name) == Path(name)
        assert parse_picture(str(tmp_path / name)) == tmp_path / name


def test_what_is_half_quoted_is_taken_as_it_is() -> None:
    assert parse_path("it's a dog.jpg") == Path("it's a dog.jpg")
    assert parse_path(r"it\'s\ a dog.jpg") == Path("it's a dog.jpg")
    assert parse_path("'a.jpg") == Path("'a.jpg")
    assert parse_path("'it'\\''s.jpg'") == Path("it's.jpg")
    assert parse_path("") == Path()


def test_home_is_found_and_that_of_nobody_is_not() -> None:
    assert parse_path("~/a.jpg") == Path.home() / "a.jpg"
    assert parse_path("'~/a b.jpg'") == Path.home() / "a b.jpg"
    assert parse_path("~nobody-of-this-name/a.jpg") == Path("~nobody-of-this-name/a.jpg")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=30))
def test_what_a_shell_quotes_is_read_back(name: str) -> None:
    path = Path(f"/there is none/{name}x.jpg")
    assert parse_path(shlex.quote(str(path))) == path
    assert parse_path(path.as_uri()) == path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "https://example.com/a.jpg",
            r"^https://example\.com/a\.jpg: pictures are not fetched from",
        ),
        ("'http://example.com/a.jpg'", r"^http://example\.com/a\.jpg: pictures are not fetched"),
        ("s3://photos/a.jpg", "not fetched from s3 addresses; save the picture and use the path"),
        ("https:/example.com/a.jpg", "pictures are not fetched from https addresses"),
        ("file://nas/photos/a.jpg", "a file of another machine, nas; use file:///PATH"),
        (f"https://example.com/{'a' * 5000}", r"a{20}\.\.\.: pictures are not fetched"),
        ("  ", "picture: expected a path, got an empty text"),
    ],
)
def test_what_is_no_file_of_this_machine_is_refused_with_the_reason(
    text: str, message: str
) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        parse_picture(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_data_uri_stays_as_it_is() -> None:
    assert parse_picture("data:image/png;base64,AAAA") == "data:image/png;base64,AAAA"


def test_a_dropped_picture_is_told_from_talk(tmp_path: Path) -> None:
    photo = tmp_path / "a dog.JPG"
    photo.touch()
    (tmp_path / "notes.txt").touch()
    dropped = [str(photo), f"'{photo}' ", str(photo).replace(" ", r"\ "), photo.as_uri()]
    assert all(map(is_dropped_picture, dropped))
    assert is_dropped_picture("'/there/is/no dog.jpg'")  # so that it is said
    talk = [
        "",
        "'a dog.jpg'",
        "a dog.jpg",
        "/there/is/no dog.jpg",
        "/image a dog.jpg",
        f"Look at {photo}",
        f"{photo} is a dog",
        str(tmp_path / "notes.txt"),
        str(tmp_path),
        "https://example.com/a.jpg",
        "'",
        "/a\0.jpg",
        "/" + "a" * 50_000 + ".jpg",
    ]
    assert not any(map(is_dropped_picture, talk))
