"""The file beside a registered model that says in full where it comes from: names of the contract, section D.4.

It lies where the model was copied to, never in the checkpoint, which is sealed.
"""

import json
from collections.abc import Mapping

NAME = "azureml_lineage.json"


def content(lineage: Mapping[str, object], run_id: str, experiment_id: str) -> bytes:
    """The same for the same model. lineage: what its workload says. run_id, experiment_id: of its tracking; empty for
    what is not known.
    """
    told = {**lineage, "mlflow_run_id": run_id or None, "mlflow_experiment_id": experiment_id or None}
    return (json.dumps(told, indent=2, sort_keys=True) + "\n").encode()
