"""Picture files that tests make: of every format and mode, and such as are made to hurt."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def encoded(image: Image.Image, format_name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if "append_images" in options:  # saving leaves settings on what is saved
        options["append_images"] = [more.copy() for more in options["append_images"]]
    image.copy().save(buffer, format_name, **options)
    return buffer.getvalue()


def gradient(width: int = 24, height: int = 16) -> Image.Image:
    """A picture in which every pixel and every channel differs."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([10 * x, 15 * y, 5 * (x + y)], -1).astype(np.uint8))


def translucent() -> Image.Image:
    image = gradient()
    image.putalpha(Image.fromarray((np.mgrid[0:16, 0:24][1] * 10).astype(np.uint8)))
    return image


def sideways() -> Image.Exif:
    """EXIF of a camera that was held sideways."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def grey_16() -> Image.Image:
    y, x = np.mgrid[0:16, 0:24]
    return Image.fromarray((2500 * x + y).astype(np.uint16))


def samples() -> dict[str, bytes]:
    """Return small files of all formats in all kinds of modes."""
    image, palette = gradient(), gradient().convert("P")
    more: dict[str, Any] = {"save_all": True, "append_images": [image.rotate(180)]}
    return {
        "jpeg": encoded(image, "JPEG"),
        "jpeg held sideways": encoded(image, "JPEG", exif=sideways()),
        "jpeg progressive": encoded(image, "JPEG", progressive=True),
        "jpeg cmyk": encoded(image.convert("CMYK"), "JPEG"),
        "jpeg grey": encoded(image.convert("L"), "JPEG"),
        "mpo": encoded(image, "MPO", **more),
        "png held sideways": encoded(image, "PNG", exif=sideways()),
        "png rgba": encoded(translucent(), "PNG"),
        "png palette": encoded(palette, "PNG", transparency=3),
        "png 16": encoded(grey_16(), "PNG"),
        "png 16 transparent": encoded(grey_16(), "PNG", transparency=2500),
        "png grey alpha": encoded(translucent().convert("LA"), "PNG"),
        "png animated": encoded(image, "PNG", **more),
        "webp": encoded(image, "WEBP"),
        "webp rgba": encoded(translucent(), "WEBP", lossless=True, exif=sideways()),
        "webp animated": encoded(image, "WEBP", **more),
        "gif": encoded(image, "GIF"),
        "gif animated": encoded(palette, "GIF", transparency=3, **more),
        "bmp": encoded(image, "BMP"),
        "bmp palette": encoded(palette, "BMP"),
        "tiff": encoded(image, "TIFF"),
        "tiff held sideways": encoded(image, "TIFF", exif=sideways()),
        "tiff lzw": encoded(image, "TIFF", compression="tiff_lzw"),
        "tiff jpeg": encoded(image, "TIFF", compression="jpeg"),
        "tiff rgba": encoded(translucent(), "TIFF", compression="tiff_adobe_deflate"),
        "tiff 16": encoded(grey_16(), "TIFF", compression="tiff_lzw"),
        "tiff pages": encoded(image, "TIFF", **more),
        "avif": encoded(image, "AVIF"),
        "avif rgba": encoded(translucent(), "AVIF", exif=sideways()),
        "avif animated": encoded(image, "AVIF", **more),
    }


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, data: bytes, *, before: bytes = b"") -> bytes:
    """Return an RGBA picture with that compressed data."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", data) + chunk(b"IEND")


def png_giant(width: int, height: int) -> bytes:
    """Return a transparent picture, with as little memory as can be."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(4 * width + 1)) for _ in range(height))
    return png_of(width, height, rows + packer.flush())


def scan_bomb(side: int, scans: int) -> bytes:
    """Return a progressive JPEG that has its last scan so many times."""
    data = encoded(Image.new("RGB", (side, side), "teal"), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * scans + b"\xff\xd9"


def jpeg_of_comments(count: int) -> bytes:
    data = encoded(gradient(), "JPEG")
    return data[:2] + b"\xff\xfe\x00\x02" * count + data[2:]


def jpeg_of_filling(count: int) -> bytes:
    data = encoded(gradient(), "JPEG")
    return data[:2] + b"\xff" * count + data[2:]


def png_of_chunks(kind: bytes, count: int) -> bytes:
    return png_of(4, 4, zlib.compress(bytes(17 * 4)), before=chunk(kind) * count)


def gif_of_comments(count: int) -> bytes:
    data = encoded(Image.new("P", (8, 8)), "GIF")
    frame = data.rindex(b"\x2c")
    return data[:frame] + b"\x21\xfe\x01a\0" * count + data[frame:]


def bmp_of_runs(side: int, count: int) -> bytes:
    """Return a run-length encoded bitmap of so many runs of one pixel."""
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, 0, 0, 0, 256, 0)
    start = b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024)
    return start + header + bytes(1024) + b"\1\5" * count


def tiff_of_strips(count: int) -> bytes:
    """Return a picture of one column, each row of which is a strip of its own."""
    tags = (
        *((256, 4, 1, 1), (257, 4, 1, count), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)),
        *((273, 4, count, 200), (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, count, 200 + 4 * count)),
    )
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    start = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries
    return start.ljust(200, b"\0") + struct.pack("<I", 8) * count + struct.pack("<I", 1) * count


def avif_that_lies(side: int) -> bytes:
    """Return a picture that is larger than its container says: 64 pixels a side."""
    data = bytearray(encoded(Image.new("RGB", (side, side), "teal"), "AVIF", speed=10))
    at = data.index(b"ispe")
    data[at + 8 : at + 16] = struct.pack(">II", 64, 64)
    return bytes(data)


def webp_of_codes(side: int) -> bytes:
    """Return a lossless WebP with 65,536 groups of codes, the most that there can be.

    Each takes five kilobytes of tables, whatever the picture's size; a group is for 4 x 4 pixels.
    Built after the specification of the lossless bitstream, RFC 9649, section 3.
    """
    bits: list[int] = []

    def put(value: int, count: int) -> None:
        bits.extend(value >> at & 1 for at in range(count))

    def put_literals(alphabet: int) -> None:
        """Put a code of 8 bits for each byte, and none for what else is in the alphabet."""
        put(0, 1)
        put(8, 4)
        for length in (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8):  # in their order in the file
            put(int(length in (0, 8)), 3)
        put(0, 1)
        for symbol in range(alphabet):
            put(int(symbol < 256), 1)

    put(0x2F, 8)
    put(side - 1, 14)
    put(side - 1, 14)
    put(0, 6)  # no transparency, version, no transform, no cache
    put(1, 4)  # groups, for 4 x 4 pixels each
    put(0, 1)
    put_literals(256 + 24)
    put_literals(256)
    put(1, 4)  # a code of one symbol
    put(1, 4)
    put(1, 4)
    for block in range((side // 4) ** 2):
        for byte in (block & 255, block >> 8 & 255):
            put(int(f"{byte:08b}"[::-1], 2), 8)
    for _ in range(65_536 * 5):
        put(1, 4)
    whole = int("".join(map(str, reversed(bits))), 2)
    data = whole.to_bytes(2 * (len(bits) // 16 + 9), "little")
    body = b"WEBPVP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body
