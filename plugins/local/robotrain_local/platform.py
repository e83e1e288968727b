"""The local platform, what it supports, and its hooks. Methods import what they need when they are called."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from robotrain.model.capabilities import ANY, YES, Capabilities, no
from robotrain.model.platform import Platform
from robotrain.plugins.hookspecs import hook

from robotrain_local.settings import NO_TRACKING, LocalSettings

if TYPE_CHECKING:
    from pathlib import Path

    from robotrain.errors import Problem
    from robotrain.model.health import HealthCheck
    from robotrain.model.job import Job
    from robotrain.model.plan import Payload, Plan
    from robotrain.model.run import Output, Reference, Status
    from robotrain_runtime.contract.event import Registered


WEIGHTS = ("registered_model", "blob_url")
FEATURES = "runs_here register_model tracking publish_folder multi_gpu mixed_precision several_datasets wandb"
CAPABILITIES = Capabilities(
    sources={
        **{("dataset", kind): YES for kind in ("local_path", "huggingface", "blob_url")},
        **{("policy", kind): YES for kind in ("local_path", "huggingface", "mlflow_run", *WEIGHTS)},
        **{("init_policy", kind): YES for kind in WEIGHTS},
        **{(role, ANY): YES for role in ("dataset", "policy", "init_policy", "resume", "publish")},
        **{("resume", kind): YES for kind in ("local_path", "blob_url")},
        ("publish", "blob_url"): YES,
    },
    workloads={ANY: YES},
    features={
        **dict.fromkeys((*FEATURES.split(), "stream_logs", "cancel"), YES),
        "native_dag": no("A background process of this machine starts each step.", "omit --native-only"),
    },
    disabled_by=dict.fromkeys(("tracking", "register_model"), ("tracking_uri", NO_TRACKING)),
)

_HINTS = {
    "-i --image --environment-name --environment-version --assets-only": (
        "only for container platforms: the local platform uses a Python environment of this machine; "
        "choose one with --environment PATH"
    ),
    "--pool --compute --instance-type --gpu-platform --use-local-osmo": (
        "only for clusters: the local platform runs the job on this machine"
    ),
    "--from-aml-model --model-name --model-version": (
        "use --policy-model models:/NAME/VERSION for an MLflow model; download an Azure ML model first "
        "(az ml model download), then use --policy-path FOLDER"
    ),
    "--from-blob --from-blob-dataset --storage-account --storage-container --blob-prefix": (
        "use the full URL: --blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
    ),
    "--azure-subscription-id --azure-resource-group --azure-workspace-name --subscription-id --resource-group"
    " --workspace-name": "only for cloud platforms: the local platform runs the job on this machine",
    "--mlflow-enable": "not needed: every run is tracked; change this with --tracking-uri URI, or none",
    "--gpus": "use --num-gpus N",
    "--mlflow-tracking-uri": "use --tracking-uri",
    "--dataset-root": "not needed: a local dataset is read in place",
    "--config-preview": "use `robotrain explain …` or `robotrain submit … --dry-run`",
}
OPTION_HINTS = {option: hint for options, hint in _HINTS.items() for option in options.split()}
"""Hints for options of other tools and platforms."""


class LocalPlatform(Platform):
    """Runs a job as a background process of this machine."""

    name = "local"
    summary = "this machine, as a background process"
    settings: type = LocalSettings
    capabilities = CAPABILITIES
    option_hints = OPTION_HINTS

    def check(self, job: Job, settings: LocalSettings) -> Iterable[Problem]:
        """Check the tracking URI and the PyTorch build."""
        from robotrain_local import render

        yield from render.check_tracking_uri(settings.tracking_uri or "")
        yield from render.check_torch_backend(settings)

    def render(
        self, job: Job, settings: LocalSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        """Return the plan of a process; pure."""
        from robotrain_local import render

        return render.render_plan(job, settings, run, payload, container_plugins)

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """Run the runtime's preflight on this machine and check the run's folder."""
        from robotrain_local import preflight

        return preflight.run_preflight(plan)

    def submit(self, plan: Plan) -> Reference:
        """Start the process, which outlives the terminal. Raise Rejected if it cannot start."""
        from robotrain_local import submit

        return submit.submit_plan(plan)

    def find(self, plan: Plan) -> Reference | None:
        """Return the run that an earlier submit of this plan started. Raise Rejected if the folder cannot be read."""
        from robotrain_local import submit

        return submit.find_run(plan)

    def status(self, reference: Reference) -> Status:
        """Return the run's status. Raise RunGone if its folder is gone."""
        from robotrain_local import observe

        return observe.read_status(observe.find_run_folder(reference))

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """Yield the log so far, its last lines, or all of it until the run ends. Raise RunGone if it is gone."""
        from robotrain.run_folder import log

        from robotrain_local import observe, spec

        folder = observe.find_run_folder(reference)
        return log.read_log_lines(
            folder / spec.LOG_FILE, lambda: not follow or observe.read_status(folder).finished, tail
        )

    def events_file(self, reference: Reference) -> Path | None:
        """Return the events file in the run's folder, once it is there. Raise RunGone if its folder is gone."""
        from robotrain.run_folder import log

        from robotrain_local import observe

        return log.find_events_file(observe.find_run_folder(reference))

    def remove_outputs(self, reference: Reference, dry_run: bool = False) -> int:
        """Remove the run's folder unless `dry_run` is set. Return the bytes freed. Raise RunGone if it is gone."""
        from robotrain_local import observe, outputs

        return outputs.remove_run(observe.find_run_folder(reference), dry_run)

    def cancel(self, reference: Reference) -> None:
        """Stop the run and wait for its end. Raise RunGone, or Rejected if it runs on another machine."""
        from robotrain_local import observe

        observe.cancel_run(observe.find_run_folder(reference))

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """Return the complete checkpoints, then the other files. Raise RunGone if its folder is gone."""
        from robotrain.run_folder import outputs

        from robotrain_local import observe

        return outputs.list_outputs(observe.find_run_folder(reference))

    def download(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy one output atomically. Raise Rejected if it cannot be copied."""
        from robotrain.run_folder import outputs

        outputs.download_output(output, to)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Register a checkpoint as a model version at the run's tracking URI. Raise Rejected if that fails."""
        from robotrain_local import observe, outputs

        return outputs.register_model(observe.find_run_folder(reference), name, step)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (LocalPlatform(),)


@hook
def robotrain_health() -> Iterable[HealthCheck]:
    """Return the health checks of `robotrain doctor`."""
    from robotrain_local import doctor

    return doctor.list_health_checks()
