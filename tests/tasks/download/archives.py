"""Archives as they may be met: plain, or made to do harm."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping

LINK = object()
"""In the place of a content: a link to /etc/passwd."""


def tar(members: Mapping[str, object], mode: str = "w:gz") -> bytes:
    """Make a tar archive; two members may only differ in a trailing ``#``, which is cut."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name.rstrip("#"))
            if content is LINK:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                archive.addfile(info)
            else:
                assert isinstance(content, bytes)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zipped(members: Mapping[str, object]) -> bytes:
    """Make a zip archive; two members may only differ in a trailing ``#``, which is cut."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name.rstrip("#"))
            info.compress_type = zipfile.ZIP_DEFLATED
            kind = stat.S_IFLNK if content is LINK else stat.S_IFREG
            info.external_attr = (kind | 0o644) << 16
            archive.writestr(info, b"/etc/passwd" if content is LINK else content)  # type: ignore[arg-type]
    return out.getvalue()
