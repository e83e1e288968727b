"""The compute that a job runs on, by its name."""

from robotrain_azureml.settings import Settings

LONGEST = 16
"""Characters of a compute's name that is made of a cluster's (contract B)."""


def compute(settings: Settings) -> str:
    """As said, else that of the AKS cluster; empty where neither is known."""
    return settings.compute or (of_cluster(settings.aks_cluster) if settings.aks_cluster else "")


def of_cluster(cluster: str) -> str:
    """`k8s-` and the cluster's name without `aks-`: `k8s-robot-dev-00` of `aks-robot-dev-001`."""
    return f"k8s-{cluster.removeprefix('aks-')}"[:LONGEST].removesuffix("-")
