"""The job's one output, by its workload checkpoints or results, in a folder of the datastore that is its own."""

from robotrain_azureml.settings import Settings


def own(name: str) -> str:
    """The folder in the datastore that is a job's alone. name: the job's in the workspace."""
    return f"azureml/{name}"


def folder(name: str, output: str) -> str:
    """That of its output. output: what that is called."""
    return f"{own(name)}/{output}"


def path(datastore: str, name: str, output: str) -> str:
    """The same as a job says it."""
    return f"azureml://datastores/{datastore}/paths/{folder(name, output)}/"


def place(output: str) -> str:
    """Where it lies in the container: by a name of the environment that Azure ML sets."""
    return f"${{AZURE_ML_OUTPUT_{output}}}"


def outputs(output: str, settings: Settings, name: str) -> dict[str, dict[str, str]]:
    """All of them, as the job declares them. output: what it is called."""
    at = path(settings.datastore, name, output)
    return {output: {"type": "uri_folder", "mode": settings.output_mode, "path": at}}
