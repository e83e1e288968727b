"""`isaac-export` in the container: the checkpoint's files, problems with inputs, the command, and what it publishes."""

from __future__ import annotations

import contextlib
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

from robotrain_runtime.contract.container_plugin import PublishingSpec, PythonEnvironment, TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource
from robotrain_runtime.contract.problem import ProblemError, Problems, Suggestion, make_data_problem

from robotrain_workloads import publish_url
from robotrain_workloads.isaac import (
    assets,
    checkpoint_file,
    installation,
    job_command,
    played_checkpoint,
    policy_container,
)
from robotrain_workloads.isaac.played_checkpoint import PlayedCheckpoint, load_checkpoint
from robotrain_workloads.isaac.versions import lab_3_0
from robotrain_workloads.isaac_export import parameters

EXPORTER = "robotrain_workloads.isaac_export.exporter"
RESULTS_FOLDER = "export_results"
POLICY_FOLDER = "policy"
ENVIRONMENT = PythonEnvironment(
    lock=Path(__file__).parent / "locks" / "export.txt",
    python="3.10-3.12",
    gib=1.0,
    platform="Linux-x86_64",
    required_packages={"onnxruntime": "1", "mlflow-skinny": "3"},
)
FORWARDED_PARAMETERS = ("job_name", "video_length", "agent_config")
"""Parameters that become options of the exporter if set, beside those of all that play a policy."""
COPIED_PARAMETERS = ("task", "num_envs", "max_steps", "video_length", "seed")
MODEL_TAGS = {"checkpoint": checkpoint_file.MODEL_TAGS}
AGENT_FILE, AGENT_WAY = "params/agent.yaml", "--agent-config FILE or URL"
SAFE_SCHEME = "https://"
FETCH_SECONDS = 20.0
MAX_FILE_BYTES = 1 << 20
RUNS_PROGRAM = True
PROGRAM_ENVIRONMENT = lab_3_0.ENVIRONMENT
targets = publish_url.list_targets
check_command = policy_container.check_command
program_environment = installation.program_environment
prepare = assets.prepare
gpus = installation.find_gpu_requirement


def inspect(document: JobDocument, data: Folders) -> Problems:
    """Yield why the policy cannot be exported, as far as versions and the checkpoint tell without the simulator."""
    job_parameters = document.parameters

    def examine(series: str, source: JobSource) -> policy_container.Examination:
        with tempfile.TemporaryDirectory() as scratch:
            address = checkpoint_file.get_address(source)
            config = str(job_parameters["agent_config"] or "")
            cache = Path(document.placement.cache)
            checkpoint = fetch_checkpoint(data[source], cache, address, config, Path(scratch))
            sha256, backend = job_parameters["sha256"], job_parameters["backend"]
            return list(find_checkpoint_problems(checkpoint, sha256, backend, series)), checkpoint.backend

    owned_options = parameters.OWNED_OPTIONS
    return policy_container.inspect_policy(document, data, examine, results=RESULTS_FOLDER, owned_options=owned_options)


def work(document: JobDocument, data: Folders, work: Path) -> WorkCommand:
    """Return the exporter's command; it finds Isaac Lab and the checkpoint's files where it runs."""
    job_parameters = document.parameters
    source = checkpoint_file.find_checkpoint_source(data)
    assert source is not None  # the role is required
    step = 0
    with contextlib.suppress(OSError):  # `inspect` reported it
        step = checkpoint_file.parse_number(checkpoint_file.find_checkpoint_file(data[source])) or 0
    program_options = policy_container.make_program_options(document, data, work, RESULTS_FOLDER, FORWARDED_PARAMETERS)
    program_options += [f"--keep-policy={work / 'outputs' / POLICY_FOLDER / f'{step:06}'}"]
    program_options += [f"--formats={','.join(parameters.list_formats(job_parameters))}"]
    program_options += [f"--max-steps={job_parameters['max_steps'] or job_parameters['video_length']}"]
    return job_command.make_command(document, data, EXPORTER, [*program_options, "--"])


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run. Names: contract, F.4."""
    job_parameters = document.parameters
    source = checkpoint_file.find_checkpoint_source(document.sources)
    return policy_container.describe_tracking_run(
        document,
        experiment=str(job_parameters["experiment_name"] or f"inference-{job_parameters['task'] or 'policy'}"),
        run_name=str(job_parameters["job_name"]),
        copied=COPIED_PARAMETERS,
        params={"inference_format": job_parameters["format"]},
        tags={
            "inference_type": "policy_evaluation",
            "checkpoint_uri": checkpoint_file.get_address(source) if source else "",
            "model.register_name": job_parameters["register_model"],
        },
    )


def publishing(document: JobDocument, data: Folders) -> PublishingSpec:
    """Return the metadata of the registered policy."""
    job_parameters = document.parameters
    source = checkpoint_file.find_checkpoint_source(data)
    address = checkpoint_file.get_address(source) if source else ""
    facts = {"checkpoint_uri": address, "task": str(job_parameters["task"] or "")}
    tags = {name: value for name, value in facts.items() if value}
    return PublishingSpec(
        register=str(job_parameters["register_model"] or ""),
        description=f"Isaac Lab policy, exported as {', '.join(parameters.list_formats(job_parameters))} (run "
        f"{document.run})",
        tags={**tags, "formats": ",".join(parameters.list_formats(job_parameters))},
        lineage=tags,
    )


def fetch_checkpoint(source: Path, cache: Path, address: str, agent_config: str, folder: Path) -> PlayedCheckpoint:
    """Return a checkpoint, with what is not beside it downloaded to `folder`.

    :param address: of the checkpoint; at a web address only the checkpoint itself was fetched.
    :param agent_config: the address or the path of the agent's parameters; empty to look beside the checkpoint.
    :raises OSError: with a sentence.
    """
    checkpoint = load_checkpoint(source, cache)
    if agent_config.startswith(SAFE_SCHEME):
        return checkpoint._replace(params=_download(agent_config, folder / AGENT_FILE))
    if agent_config:
        if not Path(agent_config).is_file():
            raise ProblemError(make_data_problem(f"there is no file {agent_config} where the job runs", AGENT_WAY))
        return checkpoint._replace(params=Path(agent_config))
    if checkpoint.params or not address.startswith(SAFE_SCHEME):
        return checkpoint
    for root in (urljoin(address, "."), urljoin(address, "..")):  # training left them beside the file or its folder
        try:
            params = _download(urljoin(root, AGENT_FILE), folder / AGENT_FILE)
        except FileMissing:
            continue
        for name in (checkpoint_file.FACTS_FILE, checkpoint_file.RUN_FILE):
            with contextlib.suppress(FileMissing):  # another program may have trained it
                _download(urljoin(root, name), folder / name)
        facts = checkpoint.facts
        if not facts.task:
            facts = checkpoint_file.read_facts(folder / checkpoint.file.name, source, cache)
        return checkpoint._replace(params=params, facts=facts)
    return checkpoint


class FileMissing(ProblemError):
    """A server does not give a file."""


def _download(address: str, to: Path) -> Path:
    """Download a small file. Raise FileMissing if a server does not give it, OSError with a sentence."""
    request = urllib.request.Request(address, headers={"User-Agent": "robotrain"})
    try:
        with urllib.request.urlopen(request, timeout=FETCH_SECONDS) as response:
            if not response.geturl().startswith(SAFE_SCHEME):
                raise OSError(f"{address} is redirected to an address without encryption")
            file_bytes = response.read(MAX_FILE_BYTES + 1)
    except urllib.error.HTTPError as error:
        with error:
            kind = FileMissing if error.code < 500 else ProblemError
            raise kind(make_data_problem(f"{address} cannot be downloaded: HTTP {error.code}", AGENT_WAY)) from None
    except urllib.error.URLError as error:
        raise OSError(f"{address} cannot be downloaded: {error.reason}") from error
    if len(file_bytes) > MAX_FILE_BYTES:
        raise OSError(f"{address} is larger than {MAX_FILE_BYTES >> 20} MiB, so it is no {to.name}")
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(file_bytes)
    return to


def find_checkpoint_problems(checkpoint: PlayedCheckpoint, sha256: object, backend: object, series: str) -> Problems:
    """Yield why an Isaac Lab of a series cannot export a policy: expected values are empty for any."""
    if problem := checkpoint_file.find_digest_problem(checkpoint.file, sha256):
        yield problem
    if checkpoint.params is None:
        yield make_data_problem(
            f"{checkpoint.file} has no params/agent.yaml beside it: a checkpoint does not tell activation and clipping",
            "--checkpoint-uri FOLDER, which has both, or --agent-config URL",
        )
    if checkpoint.backend == "sb3":
        yield make_data_problem(
            f"{checkpoint.file} is a policy of sb3, which is not exported yet",
            Suggestion("robotrain submit isaac-train --task TASK --backend rsl_rl", "a policy that is exported"),
        )
    else:
        yield from played_checkpoint.find_problems(checkpoint, backend, series)
