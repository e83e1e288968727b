"""Rules on the environment of the container."""

from collections.abc import Iterator, Mapping

from robotrain.job import Job
from robotrain.problem import Problem
from robotrain_azure.finding import Ways, cannot, ways

from robotrain_azureml.spec import variables

LONGEST = 131_072
"""Bytes that Linux lets one have, with its name and the byte at its end (MAX_ARG_STRLEN)."""
FLAGS: Mapping[str, str] = {
    "BLOB_URLS": "--blob-url",
    "DATASET_ASSETS": "--dataset-asset",
    "INIT_FROM_POLICY_MODEL_SOURCE": "--init-from-policy-model",
}


def too_long(job: Job) -> Iterator[Problem]:
    """One with which no process of the container could be started."""
    for name, value in variables.promised(job).items():
        size = len(f"{name}={value}\0".encode("utf-8", "surrogatepass"))
        if size > LONGEST:
            flag = FLAGS.get(name, "")
            title = f"the container would hold {size} bytes in {name}, and no process starts with more than {LONGEST}"
            why = "Linux takes no longer one. In a list, a character that is not ASCII takes six bytes, or twelve."
            yield cannot("azureml-variable-too-long", title, flag, why, _ways(name, flag))


def _ways(name: str, flag: str) -> Ways:
    as_asset = "--dataset-asset azureml:NAME:VERSION" if name == "BLOB_URLS" else ""
    return ways(f"fewer {flag}, or shorter ones", as_asset)
