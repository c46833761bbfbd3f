"""The bytes in a ``data:`` URI, as pages and programs send pictures in JSON."""

import base64
import binascii
import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from openmmb.errors import ImageError, shorten

_HEADER: Final = re.compile(r"\s*data:([^,;]*)((?:;[^,;]*)*?)(;\s*base64\s*)?,", re.IGNORECASE)
_LONGEST_HEADER: Final = 1000
_EXPECTED: Final = "expected a URI that begins with data:image/jpeg;base64,"


def is_data_uri(text: str) -> bool:
    """Return whether a text is meant as one."""
    return text[:100].lstrip()[:5].lower() == "data:"


def decode_data_uri(text: str, max_bytes: int, name: str) -> bytes:
    """Return the bytes in a URI; white space, URL-safe letters and a lack of padding do not matter.

    Raises:
        ImageError: It is none in base64, or holds more than ``max_bytes``.
    """
    given: Any = text
    if not isinstance(given, str):
        raise ImageError(f"{name}: {_EXPECTED}, got {type(given).__name__}")
    if not is_data_uri(text):
        if re.match(r"\s*https?:", text[:100], re.IGNORECASE):
            raise ImageError(f"{name}: pictures are not fetched from the web; {_EXPECTED}")
        raise ImageError(f"{name}: {_EXPECTED}, got {shorten(text[:100])!r}")
    header = _HEADER.match(text[:_LONGEST_HEADER])
    if header is None or header[3] is None:
        raise ImageError(f"{name}: {_EXPECTED}, got {shorten(text[:100])!r}")
    if len(text) - header.end() > 2 * max_bytes + 1000:  # so much white space is no use to anybody
        raise ImageError(f"{name}: over {max_bytes} bytes; at most {max_bytes} are read")
    data = _decode(text[header.end() :], name)
    if len(data) > max_bytes:
        raise ImageError(f"{name}: {len(data)} bytes; at most {max_bytes} are read")
    return data


def _decode(text: str, name: str) -> bytes:
    try:
        letters = text.encode("ascii")
        if b"%" in letters:
            letters = unquote_to_bytes(letters)
        letters = b"".join(letters.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
        return base64.b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise ImageError(f"{name}: damaged base64; {_EXPECTED}") from error
