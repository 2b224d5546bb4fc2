"""Jobs whose runtime the nodes have no longer: there is still something to end, and to clear up after."""

import json

from tests.clusters import cluster_server
from tests.conftest import wait_for

GONE = "there is no podman"


def test_a_job_is_canceled_whose_runtime_is_gone(make_server, slurm):
    """The queue's nodes have lost the runtime since the job began: it ends all the same, its container too."""
    server = cluster_server(make_server, slurm)
    job = server.submit(
        "#!/bin/sh\necho begun\nsleep 600\n", "--runtime", "podman", "--memory", "150MiB", name="long.sh"
    )
    wait_for(lambda: server.clif("logs", job).stdout == "begun\n", 240, 0.5)
    for report in server.state.glob("**/answers-*/*.json"):
        found = json.loads(report.read_text())
        found["runtimes"]["podman"] = GONE
        report.write_text(json.dumps(found))

    def withdrawn():
        """Podman to be offered no longer."""
        return all("podman" not in queue["runtimes"] for queue in server.json("queues")["queues"])

    wait_for(withdrawn, 60, 0.5)
    assert server.clif("cancel", job).returncode == 0
    wait_for(lambda: server.json("status", job)["state"] == "canceled", 60, 0.5)
    assert slurm.ask("squeue", "-h", f"--name=ci-{job}-1") == ""
