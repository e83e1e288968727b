"""What a submit to Azure ML costs: `robotrain submit` against a bare program of Microsoft's SDK that asks the same and
sends the same job, in paired runs; minima and their ratio.

    ./uvw run python bench/azureml_submit.py [--pairs 10] [--late 0]

The workspace that stands in answers at once; `--late` delays each of its answers by so many milliseconds.
A ratio above its ceiling is printed as such; nothing here is a test, machines differ.
"""

from __future__ import annotations  # the stand-in is imported when its folder is known

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rows import ROBOTRAIN
from startup import seconds

if TYPE_CHECKING:
    from azure_stand_in.ml.azureml import AzureML

CEILING = 1.1
COMPUTE, ASSET = "k8s-robot-dev-00", ("episodes", "3")
BARE = """
import sys
from azure.ai.ml import MLClient, load_job
from azure.ai.ml.entities import Environment
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import DefaultAzureCredential
at, (file, compute, name, version, image) = sys.argv[1:4], sys.argv[4:]
client = MLClient(DefaultAzureCredential(), *at)
client.workspaces.get(at[2])
client.compute.get(compute)
client.datastores.get("workspaceblobstore")
client.data.get("episodes", "3")
try:
    client.environments.get(name, version)
except ResourceNotFoundError:
    client.environments.create_or_update(Environment(name=name, version=version, image=image))
print(client.jobs.create_or_update(load_job(file)).name)
"""


def main() -> None:
    """Print the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--late", type=float, default=0.0, help="milliseconds of each answer")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, start_workspace(Path(name)) as workspace:
        environ = {**os.environ, **workspace.environ, "ROBOTRAIN_STATE": f"{name}/state"}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        commands = [make_submit_command(workspace), make_sdk_command(workspace, Path(name), environ)]
        timed = [
            [measure_submit(workspace, command, environ, given.late) for command in commands]
            for _ in range(given.pairs + 1)
        ]
        ours, theirs = (min(column) for column in zip(*timed[1:], strict=True))
    over = "" if ours / theirs <= CEILING else "  above"
    print(f"robotrain submit {ours * 1e3:.0f} ms, the bare SDK {theirs * 1e3:.0f} ms, {ours / theirs:.2f}{over}")
    print(f"ceiling: {CEILING}")


@contextlib.contextmanager
def start_workspace(folder: Path) -> Iterator[AzureML]:
    """The light workspace of the tests."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from azure_stand_in.ml.azureml import AzureML
    from azure_stand_in.ml.fixtures import ACCOUNT, HOST
    from azure_stand_in.ml.memory import Memory
    from azure_stand_in.tenant import tenant
    from azure_stand_in.workspace import Workspace

    with contextlib.ExitStack() as running:
        azure = running.enter_context(tenant(folder))
        made = azure.certificates
        blobs = running.enter_context(Memory(made, ACCOUNT))
        history = running.enter_context(Workspace(made, azure.manager, 0, ACCOUNT))
        azure.proxy.hosts |= {f"{ACCOUNT}.blob.core.windows.net": blobs.port, HOST: history.port}
        workspace = AzureML(azure, blobs, {"arm": azure.manager, "history": history, "blobs": blobs})
        workspace.begin()
        yield workspace


def measure_submit(workspace: AzureML, command: list[str], environ: dict[str, str], late: float) -> float:
    """One run, of a workspace that has what the job reads, and no job, code or environment yet."""
    workspace.begin()
    workspace.kubernetes(COMPUTE)
    workspace.data(*ASSET, "episodes/3")
    workspace.store.put(workspace.container, {"episodes/3/meta/info.json": b"{}"})  # what a dataset is told by
    if late:
        workspace.fault("", latency=late / 1e3)
    with tempfile.TemporaryDirectory() as state:
        took = seconds(command, environ | {"ROBOTRAIN_STATE": state})
    assert len(workspace.jobs) == 1
    return took


def make_submit_command(workspace: AzureML) -> list[str]:
    """Ours."""
    return [ROBOTRAIN, "submit", *make_job_words(workspace)]


def make_job_words(workspace: AzureML) -> list[str]:
    """The job."""
    subscription, group, name = workspace.names
    at = ["--subscription-id", subscription, "--resource-group", group, "--workspace-name", name]
    reads = ["--dataset-asset", f"azureml:{':'.join(ASSET)}"]
    return ["--platform", "azureml", *at, "--compute", COMPUTE, *reads, "--training-steps", "10"]


def make_sdk_command(workspace: AzureML, folder: Path, environ: dict[str, str]) -> list[str]:
    """The SDK's, with the very job and the very code."""
    import yaml

    render = [ROBOTRAIN, "render", *make_job_words(workspace), "--to", f"{folder}/plan"]
    subprocess.run(render, env=environ, check=True, capture_output=True)
    spec = yaml.safe_load((folder / "plan/job.yaml").read_text())
    _, name, version = spec["environment"].split(":")
    program = folder / "bare.py"
    program.write_text(BARE)
    image = "pytorch/pytorch:2.11.0"
    return [sys.executable, str(program), *workspace.names, f"{folder}/plan/job.yaml", COMPUTE, name, version, image]


if __name__ == "__main__":
    main()
