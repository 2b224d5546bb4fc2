"""What kind of file something is, by its first bytes and its name: a media type (RFC 6838) for people and previews.

What is in a file counts for more than what it is called: a picture called `notes.txt` is a picture, and text called
`plot.png` is text. A type only says what to show and how to call it; nothing is ever run or rendered because of it.
"""

from __future__ import annotations

import mimetypes

BEGINNING = 4096  #: bytes that are enough to tell
FOREIGN = 0.3  #: the most that is no ASCII of a text in an older code page
BINARY = "application/octet-stream"
TEXT = "text/plain"

#: Signatures at an offset, as their formats define them (file(1)'s magic lists the same).
_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\x89HDF\r\n\x1a\n", "application/x-hdf5"),
    (0, b"CDF\x01", "application/x-netcdf"),
    (0, b"CDF\x02", "application/x-netcdf"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"\x93NUMPY", "application/x-npy"),
    (0, b"\x7fELF", "application/x-elf"),
    (257, b"ustar", "application/x-tar"),
)
_ZIP = b"PK\x03\x04"
_ZIPPED = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "npz": "application/x-npz",
    "jar": "application/java-archive",
}
_BY_NAME = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "tab": "text/tab-separated-values",
    "json": "application/json",
    "geojson": "application/json",
    "ipynb": "application/x-ipynb+json",
    "md": "text/markdown",
    "html": "text/html",
    "htm": "text/html",
    "xhtml": "application/xhtml+xml",
    "svg": "image/svg+xml",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "toml": "application/toml",
    "py": "text/x-python",
    "r": "text/x-r",
    "sh": "text/x-shellscript",
    "tex": "text/x-tex",
}
#: What is text though its registered type does not begin with text/.
_TEXTUAL = frozenset({"application/json", "application/xml", "application/x-ipynb+json", "application/xhtml+xml",
                      "application/yaml", "application/toml", "image/svg+xml"})  # fmt: skip


def media_type(name: str, beginning: bytes) -> str:
    """Return the media type of a file from its name and its first BEGINNING bytes."""
    ending = name.rpartition("/")[2].rpartition(".")[2].lower()
    if beginning.startswith(_ZIP):
        return _ZIPPED.get(ending, "application/zip")
    for offset, signature, kind in _SIGNATURES:
        if beginning.startswith(signature, offset):
            return kind
    if _is_text(beginning):
        return _BY_NAME.get(ending, TEXT)
    guessed = mimetypes.guess_type(f"x.{ending}")[0] or BINARY
    is_certain = guessed.startswith(("image/", "text/")) or guessed in _TEXTUAL  # would have been seen above
    return BINARY if is_certain else guessed


def is_text(kind: str) -> bool:
    """Say whether a media type is one of text, whatever it may also mean to others."""
    return kind.startswith("text/") or kind in _TEXTUAL


def _is_text(beginning: bytes) -> bool:
    """Say whether bytes are text: without the controls that only programs write, and UTF-8 or mostly ASCII.

    UTF-8 may be cut within a character; mostly ASCII is what text in an older code page is.
    """
    if any(byte < 32 and byte not in b"\t\n\r\f\b\x1b\x07" for byte in beginning):
        return False
    for cut in range(4):
        try:
            beginning[: len(beginning) - cut].decode()
        except UnicodeDecodeError:
            continue
        return True
    return sum(byte >= 0x80 for byte in beginning) <= FOREIGN * len(beginning)
