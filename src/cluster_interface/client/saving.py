"""Write what the server streams into a file here: whole or not at all."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cluster_interface.client.transport import Stream


def save(stream: Stream, path: Path, moved: Callable[[int], None] | None = None) -> Path:
    """Write a stream to its end and close it; `moved` is told the bytes so far. Rejected where it cannot be written."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with stream, part.open("xb") as file:
            for data in stream:
                file.write(data)
                if moved:
                    moved(file.tell())
        part.replace(path)
    except OSError as error:
        raise Rejected.field(str(path), f"cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            part.unlink()
    return path
