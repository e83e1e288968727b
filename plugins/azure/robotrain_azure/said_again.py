"""What the environment of a container says again of the job: as long as Linux lets it be."""

from collections.abc import Iterator, Mapping

from robotrain.problem import Problem

from robotrain_azure.finding import cannot, ways

LONGEST = 131_072
"""Bytes that Linux lets one variable have, with its name and the byte at its end (MAX_ARG_STRLEN)."""
FLAGS: Mapping[str, str] = {
    "BLOB_URLS": "--blob-url",
    "DATASET_ASSETS": "--dataset-asset",
    "INIT_FROM_POLICY_MODEL_SOURCE": "--init-from-policy-model",
}


def too_long(code: str, promised: Mapping[str, str], instead: Mapping[str, str]) -> Iterator[Problem]:
    """One with which no process of the container could be started. instead: by name, what says less there."""
    for name, value in promised.items():
        size = len(f"{name}={value}\0".encode("utf-8", "surrogatepass"))
        if size > LONGEST:
            flag = FLAGS.get(name, "")
            title = f"the container would hold {size} bytes in {name}, and no process starts with more than {LONGEST}"
            why = "Linux takes no longer one. In a list, a character that is not ASCII takes six bytes, or twelve."
            yield cannot(code, title, flag, why, ways(f"fewer {flag}, or shorter ones", instead.get(name, "")))
