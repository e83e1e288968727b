"""Rules of OSMO on a job: pool, resources, names, credentials, storage. Pure."""

import re
from collections.abc import Callable, Iterator

from robotrain.config.coerce import parse_pairs
from robotrain.errors import Problem, Stage, select_errors
from robotrain.model.job import Job
from robotrain.model.source import SourceError
from robotrain.redaction import redact
from robotrain_azure import checks
from robotrain_azure.checks import (
    QuantityError,
    make_missing_value_problem,
    make_suggestions,
    make_unsupported_problem,
    make_warning,
)
from robotrain_runtime.contract.document import JobSource

from robotrain_osmo.errors import make_invalid_value_problem
from robotrain_osmo.kinds import dataset, storage
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import check_tracking, environment, inputs, resources, workflow
from robotrain_osmo.spec.check_tracking import BLOB_URL_FORM


def check_job(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """What OSMO would refuse, or take for something else, and what nobody said."""
    found = list(_check_all(job, settings))
    yield from found
    if not select_errors(found):  # else nobody was asked for the platform's own defaults
        yield from check_data_loading(job, settings)


def _check_all(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    yield from check_pool_name(settings)
    yield from check_gpus(job, settings)
    yield from check_image(job, settings)
    yield from check_sizes(settings)
    yield from check_time_limits(settings)
    yield from check_task_name(job)
    yield from check_labels(settings)
    yield from check_credential_names(job, settings)
    yield from check_buckets(settings)
    yield from check_dataset_sources(job, settings)
    yield from check_upload_storage(job, settings)
    yield from check_resume_source(job)
    yield from check_tracking.check_publishing(job, settings)
    yield from check_tracking.check_models(job, settings)
    yield from check_tracking.check_workspace_names(settings)
    yield from check_tracking.check_tracking_uri(settings)
    yield from check_tracking.check_tracking(job, settings)
    yield from checks.check_variable_sizes("osmo-variable-too-long", environment.make_compat_env(job), {})


MAX_LABELS = 16


def check_task_name(job: Job) -> Iterator[Problem]:
    """The task is named for its workload, the workflow for the run."""
    longest = min(
        workflow.MAX_TASK_NAME_LENGTH, workflow.MAX_RUN_NAME_LENGTH - len(job.run_name(999)) + len(job.workload)
    )
    if not re.fullmatch(environment.NAME_PATTERN, job.workload) or len(job.workload) > longest:
        why = f"Its task is named for it: letters, digits, `-` and `_`, a letter first, at most {longest} characters."
        yield make_unsupported_problem(
            "osmo-workload-name", "OSMO takes no such name of a workload", "", why, (), job.workload
        )
    elif job.workload.lower().replace("_", "-") == "osmo-ctrl":
        why = "It keeps this name for a container of its own."
        yield make_unsupported_problem(
            "osmo-workload-name", "OSMO takes no such name of a workload", "", why, (), job.workload
        )


def check_labels(settings: OsmoSettings) -> Iterator[Problem]:
    """As Kubernetes has them; the versions with datasets have none."""
    given = workflow.parse_labels(settings)
    if given and settings.server in inputs.DATASET_SERVERS:
        title = f"OSMO {settings.server} has no labels of workflows"
        yield make_unsupported_problem(
            "osmo-server-without", title, "--labels", "They are new in 6.4.", make_suggestions("--server 6.4")
        )
    if len(given) > MAX_LABELS:
        why = f"OSMO takes at most {MAX_LABELS}; these are {len(given)}."
        yield make_invalid_value_problem("--labels", "", "labels", why)
    for name, value in given.items():
        if not workflow.is_label_key(name):
            why = f"{redact(name)!r} is no name of a label: letters, digits, `-`, `_` and `.`, at most 63 of them."
            yield make_invalid_value_problem("--labels", name, "labels as Kubernetes has them", why)
        if not workflow.is_label_value(value):
            why = f"{redact(value)!r} is no value of a label: letters, digits, `-`, `_` and `.`, at most 63 of them."
            yield make_invalid_value_problem("--labels", f"{name}={value}", "labels as Kubernetes has them", why)


def check_pool_name(settings: OsmoSettings) -> Iterator[Problem]:
    """One has to be said: OSMO guesses none."""
    if settings.pool is None:
        why = "OSMO runs nothing outside a pool; `osmo pool list` shows those that you may use."
        yield make_missing_value_problem(
            "osmo-pool-missing", "no pool is named", "--pool", why, make_suggestions("--pool NAME", "OSMO_POOL=NAME")
        )
    elif not re.fullmatch(workflow.POOL_NAME_PATTERN, settings.pool):
        yield make_invalid_value_problem(
            "--pool", settings.pool, "the name of a pool", "It is letters, digits, `-`, `_` and `.`."
        )
    if not re.fullmatch(workflow.POOL_NAME_PATTERN, settings.gpu_platform):
        what = "the name of a pool's platform"
        yield make_invalid_value_problem(
            "--gpu-platform", settings.gpu_platform, what, "It is letters, digits, `-`, `_` and `.`."
        )


def check_gpus(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """As many as the job trains on; a job for the processor needs none."""
    wanted, have = resources.count_training_gpus(job), resources.count_gpus(job, settings)
    if have < wanted and not (have == 0 and dict(job.parameters).get("device") == "cpu"):
        title = f"the job trains on {wanted} GPU{'s' if wanted > 1 else ''}, and the task would have {have}"
        other = f"--num-gpus {have}" if have else "--device cpu"
        why = "Without a GPU the training would not begin." if not have else "It would not begin."
        yield make_unsupported_problem(
            "osmo-gpus-too-few", title, "--gpus", why, make_suggestions(f"--gpus {wanted}", other), str(have)
        )


def check_image(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """A reference with a tag or a digest: what has neither is another image tomorrow."""
    given = resources.resolve_resources(job.profile, settings).image
    found = checks.parse_image_reference(given)
    if not found:
        what = "the reference of a container image"
        good = resources.get_workload_resources(job.profile).image
        yield make_invalid_value_problem("--image", given, what, checks.IMAGE_FORM, make_suggestions(f"--image {good}"))
    elif not (found.tag or found.digest):
        why = "Without a tag or a digest it is another image tomorrow."
        instead = make_suggestions(f"--image {given}:TAG", f"--image {given}@sha256:DIGEST")
        yield make_invalid_value_problem("--image", given, "an image with a tag or a digest", why, instead)


def check_sizes(settings: OsmoSettings) -> Iterator[Problem]:
    """Of memory and disk."""
    for flag, given in (("--memory", settings.memory), ("--storage", settings.storage)):
        if given is not None:
            yield from _check_quantity(flag, given, "a size", resources.parse_size)


def check_time_limits(settings: OsmoSettings) -> Iterator[Problem]:
    """How long it may run and wait."""
    for flag, given in (("--exec-timeout", settings.exec_timeout), ("--queue-timeout", settings.queue_timeout)):
        if given is not None:
            yield from _check_quantity(flag, given, "a time", resources.parse_duration)


def check_data_loading(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Processes that load data hand it over in shared memory, of which a pod has 64 MiB."""
    workers = dict(job.parameters).get("num_workers")
    if workers and settings.shared_memory != resources.MOUNT_SHARED_MEMORY:
        why = (
            "A pod has 64 MiB of it, unless the platform brings more by itself: where that does not do, the training "
            "dies of a bus error."
        )
        instead = make_suggestions("--shared-memory mount", "--num-workers 0")
        yield make_warning(
            "osmo-no-shared-memory",
            f"{workers} processes load data, without shared memory to hand it over in",
            "--num-workers",
            why,
            instead,
        )


def _check_quantity(flag: str, given: str, expected: str, parse: Callable[[str], float]) -> Iterator[Problem]:
    try:
        parse(given)
    except QuantityError as error:
        yield make_invalid_value_problem(
            flag,
            given,
            f"{expected} as OSMO has it",
            str(error),
            make_suggestions(error.suggestion and f"{flag} {error.suggestion}"),
        )


def check_credential_names(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Texts that name none, and one that would be read both as names of the environment and as files."""
    given = {"--hf-credential": settings.hf_credential, "--blob-credential": settings.blob_credential}
    if environment.is_wandb_enabled(job):
        given["--wandb-credential"] = settings.wandb_credential
    wrong = [
        problem for flag, text in given.items() if text is not None and (problem := _check_credential_name(flag, text))
    ]
    yield from wrong
    if not wrong:
        yield from _check_double_use(environment.collect_credentials(job, settings))


def _check_credential_name(flag: str, text: str) -> Problem | None:
    try:
        environment.parse_credential(text, "key")
    except environment.CredentialError as error:
        return Problem(  # what was given is not repeated: it may be the secret itself
            code="osmo-credential-invalid",
            stage=Stage.PARSE,
            title=f"{flag} takes the name of an OSMO credential, and this is none",
            where=flag,
            why=str(error),
            suggestions=make_suggestions(f"{flag} {environment.CREDENTIAL_FORM}"),
        )
    return None


def _check_double_use(credentials_: tuple[environment.TaskCredential, ...]) -> Iterator[Problem]:
    files = {one.name for one in credentials_ if not one.variable}
    for one in credentials_:
        if one.variable and one.name in files:
            title = f"{one.flag} and --blob-credential name the same credential"
            why = "OSMO gives a credential to a task as names of its environment or as files, not both."
            way = make_suggestions("--blob-credential NAME")
            yield make_unsupported_problem("osmo-credential-twice", title, one.flag, why, way, one.name)


def check_buckets(settings: OsmoSettings) -> Iterator[Problem]:
    """Names with an address each."""
    for name, text in parse_pairs(settings.buckets or "").items():
        if not re.fullmatch(dataset.DATASET_PATTERN, name):
            why = f"{redact(name)!r} is no name of a bucket: letters, digits, `-` and `_`."
            yield make_invalid_value_problem("--buckets", name, "buckets with an address each", why)
        try:
            storage.parse_storage_url(text)
        except SourceError as error:
            instead = make_suggestions(f"--buckets {name}={error.suggestion or storage.FORM}")
            yield make_invalid_value_problem("--buckets", text, "addresses of OSMO's storage", error.why, instead)
    if not re.fullmatch(dataset.DATASET_PATTERN, settings.dataset_bucket):
        why = "It is letters, digits, `-` and `_`."
        yield make_invalid_value_problem("--dataset-bucket", settings.dataset_bucket, "the name of a bucket", why)
    if not re.fullmatch(storage.CONTAINER_PATTERN, settings.storage_container):
        why = "It is 3 to 63 small letters, digits and single dashes."
        yield make_invalid_value_problem(
            "--storage-container", settings.storage_container, "the name of a container", why
        )


def check_dataset_sources(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """What OSMO has no datasets for any more lies in a bucket whose place has to be known."""
    if settings.server in inputs.DATASET_SERVERS:
        return
    for source in job.sources:
        if source.kind == dataset.KIND.name:
            yield from _check_dataset_source(source, settings)


def _check_dataset_source(source: JobSource, settings: OsmoSettings) -> Iterator[Problem]:
    one = dataset.parse_dataset(source.uri)
    bucket = one.bucket or settings.dataset_bucket
    if one.version:
        plain = dataset.OsmoDataset(one.name, one.bucket)
        title = f"OSMO {settings.server} has no versions of datasets"
        why = "Its datasets are folders in a bucket since 6.4; which version is the one there is for you to see to."
        instead = make_suggestions(f"{dataset.DATASET_FLAG} {plain}", "--server 6.3")
        yield make_unsupported_problem("osmo-server-without", title, dataset.DATASET_FLAG, why, instead, source.uri)
    if bucket in parse_pairs(settings.buckets or ""):
        return
    place = make_suggestions(f"--buckets {bucket}=azure://ACCOUNT/CONTAINER")
    if not settings.storage_account:
        title = f"nobody said where the bucket {bucket} lies"
        why = "OSMO reads addresses since 6.4: the bucket's own, or the storage account with a container of its name."
        more = make_suggestions("--storage-account NAME", "--server 6.3")
        yield make_missing_value_problem(
            "osmo-bucket-unknown", title, dataset.DATASET_FLAG, why, place + more, source.uri
        )
    elif not re.fullmatch(storage.CONTAINER_PATTERN, bucket):
        title = f"the bucket {bucket} is no container of the storage account {settings.storage_account}"
        why = "A container's name is 3 to 63 small letters, digits and single dashes: say where the bucket lies."
        yield make_missing_value_problem("osmo-bucket-unknown", title, dataset.DATASET_FLAG, why, place, source.uri)


def check_upload_storage(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """A folder of this machine needs a place that the cluster reads."""
    for source in job.sources:
        if source.kind == "local_path" and not settings.storage_account:
            flag = inputs.INPUT_FLAGS.get((source.role, source.kind), "")
            why = "A folder of this machine is uploaded first, by its content, and no storage account is known."
            other = {"dataset": f"--blob-url {BLOB_URL_FORM}", "policy": f"--policy-url {BLOB_URL_FORM}"}.get(
                source.role, f"{flag} {BLOB_URL_FORM}"
            )
            title = "nobody said where the folder is uploaded to"
            instead = make_suggestions("--storage-account NAME", other)
            yield make_missing_value_problem("osmo-no-storage", title, flag, why, instead, source.uri)


def check_resume_source(job: Job) -> Iterator[Problem]:
    """One checkpoint is brought."""
    for source in job.sources:
        if source.kind == storage.KIND.name:
            yield from inputs.check_checkpoint_url(source.uri)
