"""`lerobot-merge` in the container: environment, problems with inputs, the command, and what is told of the policy."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract.container_plugin import PublishingSpec, PythonEnvironment, TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource
from robotrain_runtime.contract.problem import Problems, make_data_problem

from robotrain_workloads import model_card, packages, publish_url
from robotrain_workloads.lerobot import (
    adapter,
    backbones,
    lineage,
    policy,
    policy_packages,
    policy_repositories,
    run_setup,
)
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot_merge.parameters import MergeParameters

LAUNCHER = "robotrain_workloads.lerobot_merge.merger"
ENVIRONMENT = run_setup.make_environment("train")
DESCRIBED = {"policy": (*policy.DESCRIPTION_FILES, *policy.PROCESSOR_DESCRIPTION_FILES, policy.STEP_FILE.as_posix())}
targets = publish_url.list_targets
checkpoints = run_setup.get_checkpoints_folder


def environment(document: JobDocument) -> PythonEnvironment:
    """Return the environment of the job's LeRobot."""
    return run_setup.make_environment("train", document.parameters["lerobot_version"])


def compare(document: JobDocument, described: Folders) -> Problems:
    """Yield problems that descriptions alone show."""
    yield from _find_problems(LerobotJob(document, described))


def implied_sources(document: JobDocument, described: Folders) -> Mapping[str, Sequence[str]]:
    """Return the base of the adapter, and the backbones that it reads, if no source brings them."""
    repositories = policy_repositories.list_implied(LerobotJob(document, described))
    return {backbones.BACKBONE_ROLE: repositories} if repositories else {}


def needed_files(document: JobDocument, source: JobSource) -> Sequence[str]:
    """Return patterns of the files that are read of a backbone; empty for all."""
    return policy_repositories.list_needed_files(LerobotJob(document), source)


def inspect(document: JobDocument, data: Folders) -> Problems:
    """Yield problems in small files, and a base that is another one."""
    yield from _find_problems(LerobotJob(document, data, is_complete=True))
    output = run_setup.resolve_output_folder(document, Path(document.placement.work))
    if output.exists() and not run_setup.is_own_output(Path(document.placement.work), output):
        yield make_data_problem(f"the output folder {output} is not empty", "--output-dir NEW_FOLDER")
    yield from publish_url.find_write_problems(str(document.parameters["publish_url"] or ""), output, "checkpoints")


def _find_problems(job: LerobotJob) -> Problems:
    source, model = job.start_source, job.model
    if source is None or job.policy_folder is None:
        return
    if job.start_error:
        yield str(job.start_error)
        return
    if not adapter.is_adapter(job.start.settings):
        yield f"{source.uri} is a whole policy already: there is no adapter to merge"
        return
    has_own_types = job.has_packages or job.document.placement.environment is not None
    kind = model.kind
    if job.start.settings.get("type") and kind not in model.lerobot.types and not has_own_types:
        owner = f"LeRobot {model.lerobot.name}"
        yield make_data_problem(
            f"{source.uri} has the policy type {kind}, which {owner} does not have", policy.WITH_PACKAGE
        )
        return
    if job.is_complete:
        yield from policy.find_torn_files(job.start.folder, with_processors=True)
    yield from policy_repositories.find_problems(job)


def work(document: JobDocument, data: Folders, work: Path) -> WorkCommand:
    """Return the merger's command. Raise OSError."""
    job = LerobotJob(document, data, is_complete=True)
    run_setup.fill_cache(data, work, job.trusted)
    assert job.start_source is not None
    base = policy_repositories.find_base(job)
    step = _read_step(data[job.start_source])
    arguments = (
        *("-m", LAUNCHER, f"--adapter={job.policy_folder}"),
        *([f"--base={base[-1]}"] if base else []),
        *(f"--to={checkpoints(document, work) / f'{step:06}'}", f"--step={step}"),
        *(["--float32"] if document.parameters["float32"] else []),
    )
    environ = {**run_setup.make_hub_environment(document, work), **policy_packages.make_environ(document)}
    return WorkCommand(arguments=arguments, environ=environ)


def _read_step(folder: Path) -> int:
    """Return the step at which the adapter was saved; 0 if it is unknown."""
    manifest = lineage.read_checkpoint_manifest(folder)
    return manifest.step if manifest else 0


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run."""
    parameters = document.parameters
    source = lineage.find_start_source(document.sources)
    policies = {"policy_repo_id": source.uri} if source else {}
    return TrackingSpec(
        experiment="lerobot-merge",
        run_name=document.run,
        params={**policies, "float32": parameters["float32"], **packages.describe(document)},
        tags={
            "lerobot.framework": "lerobot",
            **({"model.register_name": str(name)} if (name := parameters["register_checkpoint"]) else {}),
        },
        machine=bool(parameters["system_metrics"]),
    )


def publishing(document: JobDocument, data: Folders) -> PublishingSpec:
    """Return the metadata of a registered policy: what was merged into what."""
    job = LerobotJob(document, data)
    source = job.start_source
    tags = {
        "framework": "lerobot",
        "policy_uri": source.uri if source else "",
        "policy_pin": source.pin if source else "",
        **lineage.make_parent_tags(data),
        **packages.describe(document),
    }
    with suppress(OSError, ValueError):
        if job.policy_folder:
            loaded_adapter = adapter.load_adapter(job.policy_folder)
            tags["policy_type"] = str(job.start.settings.get("type") or "")
            tags |= {
                "merged_adapter": f"{loaded_adapter.method} of rank {loaded_adapter.rank}",
                "adapter_base": str(loaded_adapter.base),
            }
    description_lines = [
        f"LeRobot {tags.get('policy_type', '')} policy: an adapter merged into its base".replace("  ", " "),
        f"Merged by the run {document.run}",
    ]
    return PublishingSpec(
        register=str(document.parameters["register_checkpoint"] or ""),
        description="\n".join(description_lines),
        tags={name: value for name, value in tags.items() if value},
        lineage={},
        describes=_describe_policy(job),
        path_files=lineage.PATH_FILES,
    )


def _describe_policy(job: LerobotJob) -> dict[str, object]:
    """Return the fields of the policy's description."""
    document, reads = job.document, job.reads
    kind = str(reads.start.settings.get("type") or "") if reads and reads.start else ""
    known_base = reads.base or adapter.Base() if reads else None  # none of the policy that was made of the adapter
    base = adapter.find_base_source(job.sources, known_base, reads.names) if reads and known_base else None
    sources = [("The adapter", job.start_source), ("Its base", base)]
    merged_lines = [f"- {name}: {model_card.format_source(source)}" for name, source in sources if source]
    sections = [
        ("Use", lineage.describe_use(document)),
        ("Merged", "\n".join(merged_lines)),
        ("Repeat the merge", model_card.format_job(document, MergeParameters)),
    ]
    origin = [base] if base else document.sources
    return {
        "title": f"{document.run}: a LeRobot {kind} policy, an adapter merged into its base".replace("  ", " "),
        "metadata": {
            "library_name": lineage.LIBRARY,
            "pipeline_tag": "robotics",
            "base_model": model_card.list_hub_names(origin, backbones.BACKBONE_ROLE if base else "policy"),
            "tags": [lineage.LIBRARY, "robotics", *([kind] if kind else [])],
        },
        "sections": [list(section) for section in sections],  # as JSON has them, for a later registration
        "is_resumable": False,
    }
