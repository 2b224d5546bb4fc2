"""Schedulers that exist in memory only and fail on request."""

from __future__ import annotations

import itertools

from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.model.queue import Queue, check_fits
from cluster_interface.ports import NativeState, Observation


class FakeScheduler:
    """Keeps orders in memory; a test scripts what goes wrong and how tasks get on.

    `lose_answers`: so many submissions are taken but answered by Transient. `refuse`: words to reject the next one
    with. `away`: every question is answered by Transient. `forget(id)`: as after a controller's crash.
    """

    name = "fake"

    def __init__(self, cpus: int = 4, memory: int = 8 * 2**30, runtimes=("bubblewrap", "docker")):
        self.orders, self.seen = {}, {}
        self.submissions = []
        self.lose_answers, self.refuse, self.away = 0, "", False
        self._ids = itertools.count(1)
        self._queue = Queue(
            name="local", cpus=cpus, memory=memory, time=86400, default_cpus=1, default_memory=2**30, default_time=3600,
            runtimes=tuple(runtimes),
        )  # fmt: skip

    def queues(self):
        """List the one queue."""
        self._answer()
        return [self._queue]

    def submit(self, order):
        """Take an order, or do what the test asked for."""
        self._answer()
        check_fits(order.ask, self._queue)
        if self.refuse:
            words, self.refuse = self.refuse, ""
            raise Rejected(words)
        native_id = str(next(self._ids))
        self.submissions.append(order.mark)
        self.orders[native_id] = order
        self.seen[native_id] = dict.fromkeys(range(order.tasks), Observation(state=NativeState.PENDING, reason="waits"))
        if self.lose_answers:
            self.lose_answers -= 1
            raise Transient("the answer was lost")
        return native_id

    def find(self, mark):
        """Look an order up."""
        self._answer()
        return next((native_id for native_id, order in self.orders.items() if order.mark == mark), None)

    def observe(self, native_ids):
        """Say what is known."""
        self._answer()
        return {native_id: dict(self.seen[native_id]) for native_id in native_ids if native_id in self.seen}

    def cancel(self, native_id):
        """End what has not ended."""
        self._answer()
        for task, seen in self.seen.get(native_id, {}).items():
            if seen.state is not NativeState.ENDED:
                self.end(native_id, task, verdict="canceled")

    def run(self, native_id, task=0):
        """Let a task start."""
        self.seen[native_id][task] = Observation(state=NativeState.RUNNING, started=1.0)

    def end(self, native_id, task=0, verdict=None):
        """Let a task end."""
        self.seen[native_id][task] = Observation(state=NativeState.ENDED, started=1.0, verdict=verdict)

    def forget(self, native_id):
        """Lose a job."""
        del self.orders[native_id], self.seen[native_id]

    def _answer(self):
        if self.away:
            raise Transient("the scheduler does not answer")
