"""An engine as a process of its own over a world that is made of files, which several engines share.

Run as a module: URL of the database, the world's directory, seconds that a lease lasts.
"""

import contextlib
import json
import random
import sys
import time
from pathlib import Path

from tests.one_site import OneSite, tools_of

from cluster_interface.engine.loop import Engine
from cluster_interface.ports import Face, ImageRef, NativeState, Observation, Work, WorkState
from cluster_interface.store import Store, claims

RESULTS = {
    "resolve": {"lock": {"base": "b" * 8, "image": "i" * 8}, "sources": []},
    "outputs": {
        "outputs": [{"path": "o", "size": 1, "sha256": "0" * 64, "task": 0}], "unmatched": [], "left": [],
    },
    "measure": {"size": 1},
}  # fmt: skip


class FileWorld(OneSite):
    """Every port at once; all it knows lies in files, and each answer takes a moment, so that deaths fall anywhere."""

    face = "directory"

    def __init__(self, directory: Path):
        self.top = directory
        for name in ("orders", "declared", "claims", "status", "works"):
            (directory / name).mkdir(exist_ok=True)

    def line(self, name, text):
        with (self.top / name).open("ab", buffering=0) as file:
            file.write(f"{text}\n".encode())

    def lines(self, name):
        path = self.top / name
        return path.read_text().split() if path.exists() else []

    def now(self):
        return time.time()

    # scheduler
    def find(self, handle):
        time.sleep(random.uniform(0, 0.02))
        return handle.mark.upper() if (self.top / "orders" / handle.mark).exists() else None

    def submit(self, order):
        time.sleep(random.uniform(0, 0.02))
        self.line("submissions", order.mark)
        (self.top / "orders" / order.mark).touch()
        time.sleep(random.uniform(0, 0.02))
        return order.mark.upper()

    def observe(self, handles):
        return {h.mark: {0: self.seen(h.mark)} for h in handles if (self.top / "orders" / h.mark).exists()}

    def seen(self, mark):
        name = f"{mark}.0"
        if (self.top / "status" / name).exists():
            return Observation(state=NativeState.ENDED)
        begun = (self.top / "claims" / name).exists()
        return Observation(state=NativeState.RUNNING if begun else NativeState.PENDING)

    def cancel(self, handle):
        pass

    # stager
    def directory(self, job):
        return self.top / job

    def write_attempt(self, *_):
        time.sleep(random.uniform(0, 0.01))

    def declare(self, job, attempt, mark):
        with contextlib.suppress(FileExistsError):
            (self.top / "declared" / mark).mkdir()
            return True
        return False

    def status(self, job, attempt, task):
        path = self.top / "status" / f"ci-{job}-{attempt}.{task}"
        return json.loads(path.read_text()) if path.exists() else None

    def claimed(self, job, attempt, task):
        return {} if (self.top / "claims" / f"ci-{job}-{attempt}.{task}").exists() else None

    def begun(self, job, attempt):
        return {0} if self.claimed(job, attempt, 0) is not None else set()

    def close(self, job, attempt):
        (self.top / "claims" / f"ci-{job}-{attempt}.closed").touch()

    def revoke(self, job, attempt, tasks):
        return [task for task in tasks if self.claimed(job, attempt, task) is None]

    # works
    def start(self, mark, kind, request):
        time.sleep(random.uniform(0, 0.01))
        (self.top / "works" / mark).write_text(kind)

    def look(self, mark):
        path = self.top / "works" / mark
        kind = path.read_text() if path.exists() else ""
        return Work(state=WorkState.DONE, result=RESULTS.get(kind, {})) if kind else Work(state=WorkState.ABSENT)

    def stop(self, mark):
        (self.top / "works" / mark).unlink(missing_ok=True)

    # what the nodes do
    def run_what_waits(self):
        """Run every native job, as often as it was submitted; only the first of a mark passes the fence."""
        for mark in self.lines("submissions"):
            name = f"{mark}.0"
            with contextlib.suppress(FileExistsError):
                (self.top / "claims" / name).mkdir()
                self.line("runs", mark)
                new = self.top / "status" / f".{name}"
                new.write_text(json.dumps({"exit_code": 0, "started": time.time(), "ended": time.time()}))
                new.rename(self.top / "status" / name)


class Images:
    """An image store in which everything is ready."""

    def find(self, lock, face):
        return ImageRef(key=lock.image, face=Face(face))


def main(url: str, directory: str, lease: str) -> None:
    """Work until killed."""
    claims.LEASE_SECONDS = float(lease)
    world = FileWorld(Path(directory))
    Engine(Store(url), tools_of(world, Images()), []).run(lambda: False)


if __name__ == "__main__":
    main(*sys.argv[1:])
