"""Tasks over a local Dask cluster, one of whose workers is killed half-way; prints the results as JSON.

A program of its own, so that the test that runs it can put a limit on its time.
"""

from __future__ import annotations

import json
import os
import time

from distributed import Client, LocalCluster

from uncia.models.inference.parallel import run_tasks


def slow_square(task):
    time.sleep(0.05)
    return task**2


def main() -> None:
    how = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(**how) as cluster, Client(cluster) as client:
        killed = []

        def kill_one(done, total):
            if done >= total // 2 and not killed:
                address = next(iter(cluster.workers.values())).worker_address
                killed.append(address)
                os.kill(client.run(os.getpid, workers=[address])[address], 9)

        found = run_tasks(slow_square, range(40), executor=client.get_executor(), progress=kill_one)
    print(json.dumps({"killed": len(killed), "found": found}))


if __name__ == "__main__":
    main()
