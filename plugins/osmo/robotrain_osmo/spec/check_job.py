"""Rules of OSMO on a job: pool, resources, names, credentials, storage. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator

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

from robotrain_osmo.kinds import dataset, storage
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import check_tracking, environment, inputs, resources, workflow
from robotrain_osmo.spec.check_tracking import BLOB_URL_FORM
from robotrain_osmo.spec.submission_spec import OsmoCredential
from robotrain_osmo.spec.workflow import make_invalid_value_problem


def check_job(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check everything that OSMO would refuse or misread, and missing settings."""
    problems = list(_check_all(job, settings))
    yield from problems
    if not select_errors(problems):  # otherwise the platform's defaults are not applied
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
    """Check the workload's name, which is the task's name and part of the workflow's."""
    longest = min(
        workflow.MAX_TASK_NAME_LENGTH, workflow.MAX_RUN_NAME_LENGTH - len(job.run_name(999)) + len(job.workload)
    )
    if not re.fullmatch(environment.NAME_PATTERN, job.workload) or len(job.workload) > longest:
        why = f"Task names are a letter followed by letters, digits, `-` and `_`, at most {longest} characters."
    elif job.workload.lower().replace("_", "-") == "osmo-ctrl":
        why = "OSMO uses this name for its own container."
    else:
        return
    title = "OSMO does not accept the workload's name"
    yield make_unsupported_problem("osmo-workload-name", title, "", why, (), job.workload)


def check_labels(settings: OsmoSettings) -> Iterator[Problem]:
    """Check labels by the rules of Kubernetes; they need OSMO 6.4."""
    labels = workflow.parse_labels(settings)
    if labels and settings.server in inputs.DATASET_SERVERS:
        title = f"OSMO {settings.server} does not support labels"
        yield make_unsupported_problem(
            "osmo-server-without", title, "--labels", "Labels need OSMO 6.4.", make_suggestions("--server 6.4")
        )
    if len(labels) > MAX_LABELS:
        why = f"OSMO accepts at most {MAX_LABELS} labels, not {len(labels)}."
        yield make_invalid_value_problem("--labels", "", "labels", why)
    for name, value in labels.items():
        if not workflow.is_label_key(name):
            why = f"{redact(name)!r} is not the name of a label: at most 63 letters, digits, `-`, `_` and `.`."
            yield make_invalid_value_problem("--labels", name, "a list of Kubernetes labels", why)
        if not workflow.is_label_value(value):
            why = f"{redact(value)!r} is not the value of a label: at most 63 letters, digits, `-`, `_` and `.`."
            yield make_invalid_value_problem("--labels", f"{name}={value}", "a list of Kubernetes labels", why)


def check_pool_name(settings: OsmoSettings) -> Iterator[Problem]:
    """Check that a pool is set and that the names of the pool and its platform are valid."""
    if settings.pool is None:
        why = "OSMO runs workflows only in pools; `osmo pool list` shows yours."
        yield make_missing_value_problem(
            "osmo-pool-missing", "no pool is set", "--pool", why, make_suggestions("--pool NAME", "OSMO_POOL=NAME")
        )
    elif not re.fullmatch(workflow.POOL_NAME_PATTERN, settings.pool):
        yield make_invalid_value_problem(
            "--pool", settings.pool, "the name of a pool", "It may contain letters, digits, `-`, `_` and `.`."
        )
    if not re.fullmatch(workflow.POOL_NAME_PATTERN, settings.gpu_platform):
        expected = "the name of a pool's platform"
        yield make_invalid_value_problem(
            "--gpu-platform", settings.gpu_platform, expected, "It may contain letters, digits, `-`, `_` and `.`."
        )


def check_gpus(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check that the task has the GPUs that the job trains on; a CPU job needs none."""
    needed, count = resources.count_training_gpus(job), resources.count_gpus(job, settings)
    if count < needed and not (count == 0 and dict(job.parameters).get("device") == "cpu"):
        title = f"the job trains on {needed} GPU{'s' if needed > 1 else ''}, but the task has {count}"
        suggestions = make_suggestions(f"--gpus {needed}", f"--num-gpus {count}" if count else "--device cpu")
        why = "The training would not start."
        yield make_unsupported_problem("osmo-gpus-too-few", title, "--gpus", why, suggestions, str(count))


def check_image(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check that the image is a valid reference with a tag or a digest, so that it is reproducible."""
    image = resources.resolve_resources(job.profile, settings).image
    reference = checks.parse_image_reference(image)
    if not reference:
        expected = "the reference of a container image"
        default = resources.get_workload_resources(job.profile).image
        yield make_invalid_value_problem(
            "--image", image, expected, checks.IMAGE_FORM, make_suggestions(f"--image {default}")
        )
    elif not (reference.tag or reference.digest):
        why = "Without a tag or a digest the image may change at any time."
        suggestions = make_suggestions(f"--image {image}:TAG", f"--image {image}@sha256:DIGEST")
        yield make_invalid_value_problem("--image", image, "an image with a tag or a digest", why, suggestions)


def check_sizes(settings: OsmoSettings) -> Iterator[Problem]:
    """Check the sizes of memory and disk."""
    for flag, text in (("--memory", settings.memory), ("--storage", settings.storage)):
        if text is not None:
            yield from _check_quantity(flag, text, "a size for OSMO", resources.parse_size)


def check_time_limits(settings: OsmoSettings) -> Iterator[Problem]:
    """Check the time limits of running and waiting."""
    for flag, text in (("--exec-timeout", settings.exec_timeout), ("--queue-timeout", settings.queue_timeout)):
        if text is not None:
            yield from _check_quantity(flag, text, "a time for OSMO", resources.parse_duration)


def check_data_loading(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Warn of data loading processes without shared memory, of which a pod has 64 MiB."""
    workers = dict(job.parameters).get("num_workers")
    if workers and settings.shared_memory != resources.MOUNT_SHARED_MEMORY:
        why = "A pod has 64 MiB unless the platform mounts more. The training ends with a bus error if it needs more."
        suggestions = make_suggestions("--shared-memory mount", "--num-workers 0")
        yield make_warning(
            "osmo-no-shared-memory",
            f"{workers} processes load data without shared memory",
            "--num-workers",
            why,
            suggestions,
        )


def _check_quantity(flag: str, given: str, expected: str, parse: Callable[[str], float]) -> Iterator[Problem]:
    try:
        parse(given)
    except QuantityError as error:
        yield make_invalid_value_problem(
            flag,
            given,
            expected,
            str(error),
            make_suggestions(error.suggestion and f"{flag} {error.suggestion}"),
        )


def check_credential_names(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check the names of credentials, and that none is needed both as variables and as files."""
    names = {"--hf-credential": settings.hf_credential, "--blob-credential": settings.blob_credential}
    if environment.is_wandb_enabled(job):
        names["--wandb-credential"] = settings.wandb_credential
    problems = [
        problem for flag, text in names.items() if text is not None and (problem := _check_credential_name(flag, text))
    ]
    yield from problems
    if not problems:
        yield from _check_double_use(environment.collect_credentials(job, settings))


def _check_credential_name(flag: str, text: str) -> Problem | None:
    try:
        environment.parse_credential(text, flag)
    except environment.CredentialError as error:
        return Problem(  # without the value, which may be a secret
            code="osmo-credential-invalid",
            stage=Stage.PARSE,
            title=f"the value of {flag} is not the name of an OSMO credential",
            where=flag,
            why=str(error),
            suggestions=make_suggestions(f"{flag} {environment.CREDENTIAL_FORM}"),
        )
    return None


def _check_double_use(credentials: Iterable[OsmoCredential]) -> Iterator[Problem]:
    files = {credential.name for credential in credentials if credential.flag == "--blob-credential"}
    for credential in credentials:
        if credential.flag != "--blob-credential" and credential.name in files:
            title = f"{credential.flag} and --blob-credential name the same credential"
            why = "OSMO provides a credential as environment variables or as files, not both."
            other = make_suggestions("--blob-credential NAME")
            yield make_unsupported_problem("osmo-credential-twice", title, credential.flag, why, other, credential.name)


def check_buckets(settings: OsmoSettings) -> Iterator[Problem]:
    """Check the names and URLs of buckets."""
    for name, text in parse_pairs(settings.buckets or "").items():
        if not re.fullmatch(dataset.DATASET_PATTERN, name):
            why = f"{redact(name)!r} is not the name of a bucket: letters, digits, `-` and `_`."
            yield make_invalid_value_problem("--buckets", name, "a list of buckets with URLs", why)
        try:
            storage.parse_storage_url(text)
        except SourceError as error:
            suggestions = make_suggestions(f"--buckets {name}={error.suggestion or storage.FORM}")
            yield make_invalid_value_problem(
                "--buckets", text, "a list of buckets with storage URLs", error.why, suggestions
            )
    if not re.fullmatch(dataset.DATASET_PATTERN, settings.dataset_bucket):
        why = "It may contain letters, digits, `-` and `_`."
        yield make_invalid_value_problem("--dataset-bucket", settings.dataset_bucket, "the name of a bucket", why)
    if not re.fullmatch(storage.CONTAINER_PATTERN, settings.storage_container):
        why = "It must be 3 to 63 lowercase letters, digits and single dashes."
        yield make_invalid_value_problem(
            "--storage-container", settings.storage_container, "the name of a container", why
        )


def check_dataset_sources(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check OSMO datasets for servers since 6.4, where they are folders of a bucket with a known URL."""
    if settings.server in inputs.DATASET_SERVERS:
        return
    for source in job.sources:
        if source.kind == dataset.KIND.name:
            yield from _check_dataset_source(source, settings)


def _check_dataset_source(source: JobSource, settings: OsmoSettings) -> Iterator[Problem]:
    reference = dataset.parse_dataset(source.uri)
    bucket = reference.bucket or settings.dataset_bucket
    if reference.version:
        unversioned = dataset.OsmoDataset(reference.name, reference.bucket)
        title = f"OSMO {settings.server} has no versions of datasets"
        why = "Since 6.4, a dataset is a folder in a bucket, which has one version."
        suggestions = make_suggestions(f"{dataset.DATASET_FLAG} {unversioned}", "--server 6.3")
        yield make_unsupported_problem("osmo-server-without", title, dataset.DATASET_FLAG, why, suggestions, source.uri)
    if bucket in parse_pairs(settings.buckets or ""):
        return
    with_url = make_suggestions(f"--buckets {bucket}=azure://ACCOUNT/CONTAINER")
    if not settings.storage_account:
        title = f"the location of the bucket {bucket} is not set"
        why = "Since 6.4, OSMO needs the URL of the bucket, or the storage account with a container of its name."
        more = make_suggestions("--storage-account NAME", "--server 6.3")
        yield make_missing_value_problem(
            "osmo-bucket-unknown", title, dataset.DATASET_FLAG, why, with_url + more, source.uri
        )
    elif not re.fullmatch(storage.CONTAINER_PATTERN, bucket):
        title = f"the bucket {bucket} cannot be a container of the storage account {settings.storage_account}"
        why = "Container names are 3 to 63 lowercase letters, digits and single dashes. Set the URL of the bucket."
        yield make_missing_value_problem("osmo-bucket-unknown", title, dataset.DATASET_FLAG, why, with_url, source.uri)


def check_upload_storage(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check that local folders can be uploaded."""
    for source in job.sources:
        if source.kind == "local_path" and not settings.storage_account:
            flag = inputs.INPUT_FLAGS.get((source.role, source.kind), "")
            why = "The folder is on this machine, and no storage account is set for uploads."
            other = {"dataset": f"--blob-url {BLOB_URL_FORM}", "policy": f"--policy-url {BLOB_URL_FORM}"}.get(
                source.role, f"{flag} {BLOB_URL_FORM}"
            )
            title = "the upload location of the folder is not set"
            suggestions = make_suggestions("--storage-account NAME", other)
            yield make_missing_value_problem("osmo-no-storage", title, flag, why, suggestions, source.uri)


def check_resume_source(job: Job) -> Iterator[Problem]:
    """Check that a storage URL to resume from names one checkpoint."""
    for source in job.sources:
        if source.kind == storage.KIND.name:
            yield from inputs.check_checkpoint_url(source.uri)
