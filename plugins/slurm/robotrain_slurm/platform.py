"""The Slurm platform: what it supports, and the functions that implement it, imported when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from robotrain.cluster.platform import ClusterPlatform
from robotrain.model.capabilities import Capabilities
from robotrain.model.platform import Platform, lazy_method
from robotrain.model.support import ANY, YES, Support, no
from robotrain.plugins.hookspecs import hook
from robotrain.run_folder.settings import NO_TRACKING

from robotrain_slurm.login.address import find_login, is_cluster_folder
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec.managed_options import ONE_NODE, SAME_NAMES, list_managed_options

if TYPE_CHECKING:
    from robotrain.model.health import HealthCheck
    from robotrain.model.run import Reference, Status
    from robotrain_runtime.contract.document import JobSource

NODE_ROLES = ("dataset", "policy", "init_policy", "checkpoint", "resume", "backbone", "publish")
"""Roles that the node fetches or writes with a source kind's container plugin, which is sent with the job."""
FEATURES = (
    "publish_folder multi_gpu multi_node mixed_precision several_datasets wandb stream_logs cancel native_dag"
    " native_sweep"
)
CAPABILITIES = Capabilities(
    sources={
        **{("dataset", kind): YES for kind in ("local_path", "huggingface", "blob_url")},
        **{("policy", kind): YES for kind in ("local_path", "huggingface", "blob_url")},
        **{(role, kind): YES for role in ("checkpoint", "resume") for kind in ("local_path", "blob_url")},
        **{(role, "huggingface"): YES for role in ("resume", "publish")},
        **{("backbone", kind): YES for kind in ("huggingface", "local_path", "blob_url", "torchvision")},
        **{("code", kind): YES for kind in ("local_path", "git")},
        **{(role, ANY): YES for role in NODE_ROLES},
    },
    workloads={ANY: YES},
    features={
        **dict.fromkeys(FEATURES.split(), YES),
        "tracking": Support("yes", "With --tracking-uri."),
        "register_model": Support("yes", "With --tracking-uri."),
        "runs_here": no("It runs on a node of the cluster.", "--platform local"),
    },
    required_settings={"tracking": "tracking_uri", "register_model": "tracking_uri"},
    disabled_by=dict.fromkeys(("tracking", "register_model"), ("tracking_uri", NO_TRACKING)),
)
_OTHER_OPTIONS = (
    "mem-per-cpu mem-per-gpu cpus-per-gpu reservation nodelist begin mail-type mail-user licenses nice hint wckey"
    " switches deadline"
)
_HINTS = {
    **{f"--{name}": f"use --sbatch {name}=VALUE" for name in _OTHER_OPTIONS.split()},
    "--exclusive": "use --sbatch exclusive",
    "--hold -H": "use --sbatch hold",
    "-w": "use --sbatch nodelist=VALUE",
    "-p": "use --partition NAME",
    "-A": "use --account NAME",
    "-q": "use --qos NAME",
    "-t": "use --time TIME",
    "-c": "use --cpus N",
    "-C": "use --constraint FEATURES",
    "-x": "use --exclude NODES",
    "-N -n": ONE_NODE,
    "--gres --gpu": "use --gpus N, and --gpu-type TYPE",
    "--cpu --num-cpus": "use --cpus N",
    "--storage-account --storage-container": "only for clouds: nodes read folders of a disk that they share",
    "--disk --disk-size": "not needed: a run takes what it needs of --runs-dir and --cache-dir",
    "--timeout --time-limit --walltime --exec-timeout": "use --time TIME",
    "--pool --compute --instance-type --gpu-platform": "use --partition NAME",
    "--use-local-osmo": "only for OSMO: jobs are sent with the command `sbatch`",
    "--priority": "use --qos NAME",
    "--ssh --host --login-node --remote": "use --login USER@HOST",
    "--slurm": "each option has its own setting, such as --partition; any other: --sbatch NAME=VALUE",
    "--modules": "use --module NAME",
    "--folder --cache-folder": "use --runs-dir FOLDER and --cache-dir FOLDER",
    "--environment-name --environment-version": "use --environment PATH, or --container pyxis --image IMAGE",
    "--hf-token --hf-credential": "a job never contains a token: use --hub-token-file FILE",
    "--blob-credential": "use --blob-credential-file FILE",
    "--mlflow-tracking-uri": "use --tracking-uri URI",
    "--tag --tags --label --labels": "use --note TEXT",
    "--dataset-root DATASET_ROOT": "not needed: a dataset of the shared disk is read in place",
}
OPTION_HINTS: Mapping[str, str] = {
    **{f"--{name}": substitute for name, substitute in list_managed_options().items() if name not in SAME_NAMES},
    **{option: hint for options, hint in _HINTS.items() for option in options.split()},
}


def cluster_method(path: str, remote: str = "") -> Any:
    """Return a method that calls the function `MODULE:NAME` where the commands of Slurm are.

    That is here, or on the login node of the plan or the reference that it is given.

    :param remote: the function of `remote.methods` that takes its place then, where that is more than a call.
    """
    call_here = lazy_method(path)

    def call(platform: Platform, subject: Any, *values: Any, **named: Any) -> Any:
        login = find_login(subject)
        if not login:
            return call_here(platform, subject, *values, **named)
        if remote:
            module = importlib.import_module("robotrain_slurm.remote.methods")
            return getattr(module, remote)(login, subject, *values, **named)
        module = importlib.import_module("robotrain_slurm.login.calls")
        return module.call(login, path, subject, *values, **named)

    return call


class SlurmPlatform(ClusterPlatform):
    """Runs a job as a batch job, in a run folder that every node sees."""

    name = "slurm"
    summary = "a Slurm cluster, as a batch job"
    settings: type = SlurmSettings
    capabilities = CAPABILITIES
    option_hints = OPTION_HINTS
    engine = "Slurm"
    cancel_seconds = 60.0  # after it had the time to save a checkpoint: Slurm's own KillWait is 30
    cancel_command = "scancel {job}"

    derive_defaults = lazy_method("robotrain_slurm.spec.options:derive_defaults")
    check = lazy_method("robotrain_slurm.spec.check_job:check_job")
    container_plugins = lazy_method("robotrain_slurm.spec.render:find_container_plugins")
    render = lazy_method("robotrain_slurm.spec.render:render_plan")
    render_pipeline = lazy_method("robotrain_slurm.spec.pipeline:render_pipeline")
    choose_registration_settings = lazy_method("robotrain_slurm.spec.pipeline:choose_registration_settings")
    render_sweep = lazy_method("robotrain_slurm.spec.sweep:render_sweep")
    find_sweep_obstacle = lazy_method("robotrain_slurm.spec.sweep:find_sweep_obstacle")
    can_prepare = True
    prepare = cluster_method("robotrain_slurm.submit.staging:prepare_plan", "prepare")
    list_checks = cluster_method("robotrain_slurm.preflight.checks:list_checks", "list_checks")
    submit = cluster_method("robotrain_slurm.submit.submit:submit_plan", "submit")
    find = cluster_method("robotrain_slurm.submit.submit:find_run", "find_run")
    status = cluster_method("robotrain_slurm.observe.pipeline_status:query_status", "query_status")
    has_ended = cluster_method("robotrain_slurm.observe.pipeline_status:has_ended")
    list_steps = cluster_method("robotrain_slurm.observe.pipeline_status:list_steps")
    query_pipeline = cluster_method("robotrain_slurm.observe.pipeline_status:query_pipeline", "query_pipeline")
    has_step_output = cluster_method("robotrain_slurm.observe.run_files:has_step_output")
    logs = cluster_method("robotrain_slurm.observe.logs:read_logs", "read_logs")
    events_file = cluster_method("robotrain_slurm.observe.run_files:find_events_file", "find_events_file")
    request_cancel = cluster_method("robotrain_slurm.observe.cancel:request_cancel")
    outputs = cluster_method("robotrain_slurm.observe.run_files:list_outputs", "list_outputs")
    download = cluster_method("robotrain_slurm.observe.run_files:download_output", "download_output")
    register = cluster_method("robotrain_slurm.observe.run_files:register_model")
    remove_outputs = cluster_method("robotrain_slurm.observe.run_files:remove_run", "remove_run")
    describe_reference = lazy_method("robotrain_slurm.observe.step_references:describe_reference")

    def is_remote_folder(self, source: JobSource, settings: SlurmSettings) -> bool:
        """Return whether a source is a folder of the cluster, which this machine reaches by ssh."""
        return bool(settings.login) and is_cluster_folder(source)

    def find_host(self, reference: Reference) -> str:
        """Return the login node that a run was sent to from elsewhere."""
        return find_login(reference)

    def list_statuses(self, references: Sequence[Reference]) -> Sequence[Status | None]:
        """Return the status of each run: those here by one request, and those of each login node."""
        if any(map(find_login, references)):
            from robotrain_slurm.remote import methods

            return methods.list_statuses(references)
        from robotrain_slurm.observe import pipeline_status

        return pipeline_status.list_statuses(references)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (SlurmPlatform(),)


@hook
def robotrain_health() -> Iterable[HealthCheck]:
    """Return the health checks of `robotrain doctor`."""
    from robotrain_slurm import doctor

    return doctor.list_health_checks()
