"""The Python API, over REST.

    import cluster_interface as ci

    with ci.connect() as cluster:
        job = cluster.submit("count.py", args=["--top", "10"], cpus=2, memory="4GiB")
        job.wait()
        job.fetch("results")

ClusterError
  Transient     the server is away or busy: try again
  Rejected      what was asked for cannot be done; NotFound, Conflict, Forbidden
"""

from cluster_interface.client import files
from cluster_interface.client.cluster import Cluster, connect
from cluster_interface.client.composing import Draft
from cluster_interface.client.job import Job
from cluster_interface.client.outputs import Output

__all__ = ["Cluster", "Draft", "Job", "Output", "connect", "files"]
