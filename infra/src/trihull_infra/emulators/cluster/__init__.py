"""Local clusters: Kubernetes objects as supervised processes on 127.0.0.1.

cluster.py     LocalCluster, what the daemon uses: a thread with a loop around control.py
control.py     applies, rollouts, outages;  objects.py, spec.py, rollout.py, deployments.py  its decisions, pure
store.py       objects on disk
pods.py        one pod: containers.py and volumes.py (what it gets), probing.py, logs.py, processes.py, records.py
runner.py      the seam below a pod;  isolated.py (namespaces), virtual.py (virtual environment);  images.py
launcher.py    becomes a pod's process
services.py    load balancers' ports;  balancers.py keeps forwarder.py running, which moves the bytes
outages.py     kinds of outages, and the gates they close
"""

from trihull_infra.emulators.cluster.cluster import LocalCluster
from trihull_infra.emulators.cluster.errors import ClusterError
from trihull_infra.emulators.cluster.records import PodStatus

__all__ = ["ClusterError", "LocalCluster", "PodStatus"]
