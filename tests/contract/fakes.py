"""Schedulers that exist in memory only and fail on request."""

from __future__ import annotations

import itertools
from dataclasses import replace

from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.model.queue import Queue, check_fits
from cluster_interface.ports import UNSEEN, NativeState, Observation, Waiting

_PENDING = Observation(state=NativeState.PENDING, reason="waits")
_RUNNING = Observation(state=NativeState.RUNNING, started=1.0, node="node1")
_RANKS = {NativeState.RUNNING: 2, NativeState.PENDING: 1}


class FakeScheduler:
    """Keeps orders in memory; a test scripts what goes wrong and how elements get on.

    `lose_answers`: so many submissions are taken but answered by Transient. `refuse`: words to reject the next one
    with. `away`: every question is answered by Transient. `blind`: others' orders are not shown. `forget(id)`: as
    after a controller's crash. `orders` and `seen` are by native id; `run`, `end` and `requeue` take one.
    """

    def __init__(
        self, cpus: int = 4, memory: int = 8 * 2**30, runtimes=("bubblewrap", "docker"), name: str = "fake", **queue
    ):
        self.name = name
        self.orders, self.seen = {}, {}
        self.submissions, self.canceled = [], []
        self.lose_answers, self.refuse, self.away, self.blind = 0, "", False, False
        self._ids = itertools.count(1)
        self._queue = Queue(**{
            "name": "local", "scheduler": self.name, "cpus": cpus, "memory": memory, "time": 86400, "default_cpus": 1,
            "default_memory": 2**30, "default_time": 3600, "runtimes": tuple(runtimes), **queue,
        })  # fmt: skip

    def queues(self):
        """List the one queue."""
        self._answer()
        return [self._queue]

    def submit(self, order):
        """Take an order, or do what the test asked for."""
        self._answer()
        check_fits(order.ask, replace(self._queue, runtimes=(order.ask.runtime,)))
        if self.refuse:
            words, self.refuse = self.refuse, ""
            raise Rejected(words)
        native_id = str(next(self._ids))
        self.submissions.append(order.mark)
        self.orders[native_id] = order
        self.seen[native_id] = dict.fromkeys(range(order.elements), _PENDING)
        if self.lose_answers:
            self.lose_answers -= 1
            raise Transient("the answer was lost")
        return native_id

    def find(self, handle):
        """Look an order up by mark and account."""
        self._answer()
        if found := self._ids_of(handle):
            return found[-1]
        if self.blind:
            raise Transient("such orders are not shown")
        return None

    def observe(self, handles):
        """Say what is known; of several native orders of a mark the one that is most alive."""
        self._answer()
        found = {}
        for handle in handles:
            ids = self._ids_of(handle)
            if ids:
                found[handle.mark] = self.seen[max(ids, key=self._liveliness)]
            elif self.blind:
                found[handle.mark] = {0: UNSEEN}
        return found

    def cancel(self, handle):
        """End what has not ended."""
        self._answer()
        self.canceled.append(handle.mark)
        for native_id in self._ids_of(handle):
            for element, seen in list(self.seen[native_id].items()):
                if seen.state is not NativeState.ENDED:
                    self.end(native_id, element, verdict="canceled")

    def waiting(self, handle):
        """Say which place an order has that waits."""
        self._answer()
        ahead = [i for i, seen in self.seen.items() if all(o.state is NativeState.PENDING for o in seen.values())]
        ours = next((i for i in self._ids_of(handle) if i in ahead), None)
        return Waiting(reason="waits", native_reason="W", position=ahead.index(ours) + 1) if ours else None

    # --- what a test lets happen

    def run(self, native_id, element=0):
        """Let an element start."""
        self._set(native_id, element, _RUNNING)

    def end(self, native_id, element=0, verdict=None):
        """Let an element end."""
        self._set(native_id, element, replace(_RUNNING, state=NativeState.ENDED, verdict=verdict))

    def requeue(self, native_id, element=0):
        """Put an element back into the queue, as an administrator may."""
        self._set(native_id, element, _PENDING)

    def forget(self, native_id):
        """Lose a job."""
        del self.orders[native_id], self.seen[native_id]

    def _set(self, native_id, element, seen):
        self.seen[native_id] = {**self.seen[native_id], element: seen}

    def _ids_of(self, handle):
        if self.blind:
            return []
        return [
            native_id
            for native_id, order in self.orders.items()
            if (order.mark, order.account.name) == (handle.mark, handle.account)
        ]

    def _liveliness(self, native_id):
        return max(_RANKS.get(seen.state, 0) for seen in self.seen[native_id].values()), int(native_id)

    def _answer(self):
        if self.away:
            raise Transient("the scheduler does not answer")
