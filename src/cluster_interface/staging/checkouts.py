"""A repository as the thing to run: the tree of the commit that a revision names now, as entries of a job."""

from __future__ import annotations

from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Transient
from cluster_interface.model.filenames import MOST_ENTRIES, check_links
from cluster_interface.model.filetree import IN_ARCHIVE, FileEntry
from cluster_interface.ports import Repository
from cluster_interface.staging.sources.kinds import unavailable
from cluster_interface.trees.archives import BROKEN, words
from cluster_interface.trees.listing import listing_in

if TYPE_CHECKING:
    from cluster_interface.staging.sources import Sources
    from cluster_interface.trees.archives import Archive

_room = BoundedSemaphore(4)  #: that are fetched at the same time, lest they keep everybody else waiting


def fetch(sources: Sources, owner: str, source: str) -> Repository:
    """Fetch it into the cache, and list what is in it. Permanent in words; Transient where there is no room."""
    if not _room.acquire(blocking=False):
        raise Transient("other repositories are being fetched; try again in a moment")
    try:
        pinned = sources.pinned(source, owner)
        with sources.archives() as archives:
            archive = archives.opened(pinned, owner)
            try:
                return _tree(pinned, archive)
            except BROKEN as error:
                raise unavailable(f"{pinned} cannot be read: {words(error)}") from None
    finally:
        _room.release()


def _tree(source: str, archive: Archive) -> Repository:
    names, left_out = archive.names(), dict(archive.odd)
    if len(names) > MOST_ENTRIES:
        raise unavailable(f"{source} has {len(names):,} entries, more than the {MOST_ENTRIES:,} that a job may have")
    files = {}
    for name in names:
        if name in archive.links:
            try:
                check_links({name: archive.links[name]})
            except ValueError:
                left_out[name] = f"is a link to {archive.links[name]!r}, which is outside of it"
            else:
                files[name] = FileEntry(target=archive.links[name])
        elif name in archive.sizes:
            size, program = archive.sizes[name], bool(archive.modes[name] & 0o100)
            files[name] = FileEntry(source=f"{source}{IN_ARCHIVE}{name}", size=size, executable=program)
        else:
            files[name] = FileEntry()
    texts = {name: text for name, text in listing_in(archive).items() if name in files}
    return Repository(source=source, files=files, texts=texts, left_out=left_out)
