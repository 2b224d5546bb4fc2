"""What two imagined outside worlds have in common: one account, one queue, one scheduler, one runtime."""

from cluster_interface.engine.tools import Tools
from cluster_interface.inspection.software import Software
from cluster_interface.model.job import Account
from cluster_interface.model.queue import Queue
from cluster_interface.settings import Defaults, Retention

QUEUE = Queue(
    name="q", cpus=4, memory=2**33, time=None, default_cpus=1, default_memory=2**30, default_time=60, runtimes=("r",)
)


class OneSite:
    """A site, its scheduler, its runtime and its accounts in one, without what a world does on being asked."""

    name = "world"
    queue = QUEUE

    def account(self, owner):
        return Account(name=owner, uid=1000, gid=1000)

    def bounds(self, ask):
        return {}

    def job_script(self, run):
        return run.command

    def scheduler(self, name):
        return self

    def runtime(self, ask, *, offered=True):
        return self

    def runs_as(self, owner, runtime):
        return self.account(owner)

    def survey(self):
        return 1000.0

    def reap(self, ask, mark, owner, nodes):
        pass

    def queues(self):
        return [self.queue]

    def waiting(self, handle):
        return None


def tools_of(world, images, retention=None) -> Tools:
    """What an engine has in a world that is every port but the images."""
    return Tools(
        site=world,
        images=images,
        stager=world,
        works=world,
        identity=world,
        clock=world,
        defaults=Defaults(),
        retention=retention or Retention(),
        software=Software(),
    )
