"""Rules of OSMO on a job: pool, resources, names, credentials, storage. Pure."""

import re
from collections.abc import Iterator

from robotrain.cluster import checks, spec_patch
from robotrain.cluster.checks import QuantityError
from robotrain.cluster.spec_patch import ProtectedKey
from robotrain.errors import Problem, select_errors
from robotrain.messages import Messages
from robotrain.model.job import NODES_FLAG, Job
from robotrain.model.source import SourceError
from robotrain.redaction import redact
from robotrain_runtime.contract.parameter import parse_pairs

from robotrain_osmo import dataset, storage
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import check_tracking, environment, inputs, node_names, resources
from robotrain_osmo.spec.check_tracking import BLOB_URL_FORM
from robotrain_osmo.spec.workflow import GUARD, make_invalid_value_problem

make_problem = Messages(__file__)


def check_job(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check everything that OSMO would refuse or misread, and missing settings."""
    filled_settings = resources.fill_settings(job, settings)
    variables = environment.make_compat_env(job)
    flags = {"BLOB_URLS": ("--blob-url",)}
    problems = [
        *([make_problem("value-missing.pool", absent=("pool",))] if settings.pool is None else []),
        *check_gpus(job, filled_settings),
        *check_image(job, filled_settings),
        *check_quantities(filled_settings),
        *check_nodes(job),
        *check_task_name(job),
        *check_labels(filled_settings),
        *check_credential_names(job, filled_settings),
        *check_buckets(filled_settings),
        *check_dataset_sources(job, filled_settings),
        *check_published_dataset(filled_settings),
        *check_upload_storage(job, filled_settings),
        *check_resume_source(job),
        *check_tracking.check_publishing(job, filled_settings),
        *check_tracking.check_models(job, filled_settings),
        *check_tracking.check_workspace_names(filled_settings),
        *check_tracking.check_tracking_uri(filled_settings),
        *check_tracking.check_tracking(job, filled_settings),
        *checks.check_variable_sizes(variables, flags),
        *check_spec_patch(filled_settings),
    ]
    yield from problems
    if not select_errors(problems):  # otherwise the platform's defaults are not applied
        yield from check_data_loading(job, settings)


MAX_TASK_NAME_LENGTH = 58
"""OSMO names the task's group `<task>-group`, in at most 64 characters."""
MAX_RUN_NAME_LENGTH = 64
MAX_CONTAINER_NAME_LENGTH = 63
MAX_TASKS = 20
"""Tasks of a workflow that OSMO accepts unless it is configured otherwise."""


def get_longest_task_name(nodes: int) -> int:
    """Return how long the name of a task may be, of a job of so many nodes."""
    return min(MAX_TASK_NAME_LENGTH, MAX_CONTAINER_NAME_LENGTH - node_names.count_suffix(nodes))


def check_nodes(job: Job) -> Iterator[Problem]:
    """Check that the tasks of a job of several nodes are a workflow that OSMO accepts."""
    if (count := job.training_nodes) > MAX_TASKS:
        yield make_problem("osmo-too-many-nodes", where=NODES_FLAG, given=str(count), max_tasks=MAX_TASKS, count=count)


_TASKS = "It has the command, the inputs and the mark of the run, and a patch replaces a list as a whole."
PROTECTED_KEYS = (
    ProtectedKey(("workflow", "name"), "It identifies the run."),
    ProtectedKey(("workflow", "tasks"), _TASKS),
    ProtectedKey(("workflow", "groups"), _TASKS),
    ProtectedKey(("default-values",), "OSMO would put its values into the workflow, which is a template."),
    ProtectedKey(("version",), "robotrain writes workflows of one version."),
)


def check_spec_patch(settings: OsmoSettings) -> Iterator[Problem]:
    """Check that a patch leaves what identifies and starts the run, and has nothing that OSMO would evaluate."""
    yield from spec_patch.find_protected_changes(spec_patch.load_patch(settings.spec_patch), PROTECTED_KEYS)
    yield from spec_patch.check_syntax(settings.spec_patch or "", GUARD)


_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DNS_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_LABEL_KEY = rf"(?:(?=[^/]{{1,253}}/){_DNS_LABEL}(?:\.{_DNS_LABEL})*/)?{_LABEL}"


def check_task_name(job: Job) -> Iterator[Problem]:
    """Check the workload's name, which is the task's name and part of the workflow's."""
    longest = min(
        get_longest_task_name(job.training_nodes), MAX_RUN_NAME_LENGTH - len(job.run_name(999)) + len(job.workload)
    )
    if not re.fullmatch(environment.NAME_PATTERN, job.workload) or len(job.workload) > longest:
        reason = f"Task names are a letter followed by letters, digits, `-` and `_`, at most {longest} characters."
    elif job.workload.lower().replace("_", "-") == "osmo-ctrl":
        reason = "OSMO uses this name for its own container."
    else:
        return
    yield make_problem("workload-name-refused", given=job.workload, why=reason)


def check_labels(settings: OsmoSettings) -> Iterator[Problem]:
    """Check that labels are those of Kubernetes: OSMO renders the workflow as a template."""
    for name, label_value in parse_pairs(settings.labels or "").items():
        if not (re.fullmatch(_LABEL_KEY, name) and re.fullmatch(_LABEL, label_value)):
            reason = "Names and values have at most 63 letters, digits, `-`, `_` and `.`."
            yield make_invalid_value_problem("--labels", f"{name}={label_value}", "a Kubernetes label", reason)


def check_gpus(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check that the task has the GPUs that the job trains on; a CPU job needs none."""
    needed_gpus, count = job.training_gpus, settings.gpus or 0
    parameters = dict(job.parameters)
    if count < needed_gpus and not (count == 0 and parameters.get("device") == "cpu"):
        fixes = (
            f"--gpus {needed_gpus}",
            f"--num-gpus {count}" if count else "--device cpu" if "device" in parameters else "",
        )
        yield make_problem("gpus-too-few", *fixes, given=str(count), needed=needed_gpus, count=count)
    yield from checks.check_unused_gpus(job, count, "OSMO")


def check_image(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check that the image is a valid reference with a tag or a digest, so that it is reproducible."""
    image = settings.image or ""
    reference = checks.parse_image_reference(image)
    if not reference:
        expected_form, fix = "the reference of a container image", f"--image {job.profile.container.image}"
        yield make_invalid_value_problem("--image", image, expected_form, checks.IMAGE_FORM, fix)
    elif not (reference.tag or reference.digest):
        reason = "Without a tag or a digest the image may change at any time."
        fixes = (f"--image {image}:TAG", f"--image {image}@sha256:DIGEST")
        yield make_invalid_value_problem("--image", image, "an image with a tag or a digest", reason, *fixes)


def check_quantities(settings: OsmoSettings) -> Iterator[Problem]:
    """Check the sizes of memory and disk, and the time limits of running and waiting."""
    sizes = {"--memory": settings.memory, "--storage": settings.storage}
    times = {"--exec-timeout": settings.exec_timeout, "--queue-timeout": settings.queue_timeout}
    for flag, quantity in (sizes | times).items():
        parse, noun = (resources.parse_size, "size") if flag in sizes else (resources.parse_duration, "time")
        try:
            parse(quantity) if quantity is not None else 0.0
        except QuantityError as error:
            fix = error.suggestion and f"{flag} {error.suggestion}"
            yield make_invalid_value_problem(flag, quantity or "", f"a {noun} for OSMO", str(error), fix)


def check_data_loading(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Warn of data loading processes without shared memory, of which a pod has 64 MiB."""
    workers = dict(job.parameters).get("num_workers", 0)
    if workers != 0 and settings.shared_memory != resources.MOUNT_SHARED_MEMORY:
        worker_text = workers if isinstance(workers, int) else "several"  # else the container chooses, perhaps the most
        yield make_problem("osmo-no-shared-memory", many=worker_text)


BLOB_FLAG = "--blob-credential"


def check_credential_names(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check the names of credentials, and that none is needed both as variables and as files."""
    names_by_flag = {
        "--hf-credential": settings.hf_credential,
        "--blob-credential": settings.blob_credential,
    }
    if job.logs_to_wandb:
        names_by_flag["--wandb-credential"] = settings.wandb_credential
    expected_form = "the name of an OSMO credential"
    invalid = []
    for flag, credential_text in names_by_flag.items():
        try:
            environment.parse_credential(credential_text, flag) if credential_text is not None else None
        except environment.CredentialError as error:  # the problem does not show the value, which may be a secret
            fix = f"{flag} {environment.CREDENTIAL_FORM}"
            invalid.append(GUARD.make_invalid_value_problem(flag, "", expected_form, str(error), fix))
    if settings.secrets:
        from robotrain.cluster.secrets import check_secrets  # costs start-up

        variables = (*environment.make_environment(job, settings, 0, ""), "OSMO_", "KUBERNETES_")
        invalid += check_secrets(settings.secrets, environment.parse_secret, "CREDENTIAL[:KEY]", variables)
    if invalid:
        yield from invalid
        return
    credentials = environment.collect_credentials(job, settings)
    for credential in credentials:
        name, flag = credential.name, credential.flag
        if flag != BLOB_FLAG and name in (other.name for other in credentials if other.flag == BLOB_FLAG):
            yield make_problem("osmo-credential-twice", where=flag, given=name, other=BLOB_FLAG)


def check_buckets(settings: OsmoSettings) -> Iterator[Problem]:
    """Check the names and URLs of buckets."""
    for name, bucket_url in parse_pairs(settings.buckets or "").items():
        reason = f"{redact(name)!r} is not the name of a bucket: letters, digits, `-` and `_`."
        yield from GUARD.check_pattern(
            "--buckets", name, dataset.DATASET_PATTERN, "a list of buckets with URLs", reason
        )
        try:
            storage.parse_storage_url(bucket_url)
        except SourceError as error:
            fix = f"--buckets {name}={error.suggestion or storage.FORM}"
            yield make_invalid_value_problem(
                "--buckets", bucket_url, "a list of buckets with storage URLs", error.why, fix
            )


def check_dataset_sources(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check OSMO datasets for servers since 6.4, where they are folders of a bucket with a known URL."""
    for source in job.sources:
        if source.kind != dataset.KIND.name or settings.server in inputs.DATASET_SERVERS:
            continue
        reference = dataset.parse_dataset(source.uri)
        flag = inputs.INPUT_FLAGS[source.role, source.kind]
        if reference.version and not re.fullmatch(inputs.VERSION_PATTERN, reference.version):
            unversioned = dataset.OsmoDataset(reference.name, reference.bucket)
            yield make_problem(
                "feature-not-there.dataset-versions",
                where=flag,
                given=source.uri,
                server=settings.server,
                unversioned=unversioned,
            )
        bucket = inputs.choose_bucket(source.uri, source.role, settings)
        yield from _check_bucket_place(bucket, flag, source.uri, settings)


def _check_bucket_place(bucket: str, flag: str, flag_value: str, settings: OsmoSettings) -> Iterator[Problem]:
    """Check that the location of a bucket is known, for servers since 6.4."""
    if bucket in parse_pairs(settings.buckets or ""):
        return
    if not settings.storage_account:
        yield make_problem("resource-unknown.bucket", where=flag, given=flag_value, bucket=bucket)
    elif not re.fullmatch(storage.CONTAINER_PATTERN, bucket):
        yield make_problem(
            "resource-unknown.bucket-name",
            where=flag,
            given=flag_value,
            bucket=bucket,
            storage_account=settings.storage_account,
        )


def check_published_dataset(settings: OsmoSettings) -> Iterator[Problem]:
    """Check the name of the dataset that the task writes, and that the location of its bucket is known."""
    if dataset_name := settings.publish_dataset:
        is_placed = settings.server in inputs.DATASET_SERVERS
        yield from _check_written_dataset(
            dataset.PUBLISH_FLAG, dataset_name, settings.dataset_bucket, is_placed, settings
        )


def _check_written_dataset(
    flag: str, dataset_name: str, bucket: str, is_placed: bool, settings: OsmoSettings
) -> Iterator[Problem]:
    """Check the name of a dataset. `bucket`: its default bucket. `is_placed`: OSMO itself knows where its bucket is."""
    try:
        osmo_dataset = dataset.parse_dataset(dataset_name)
    except SourceError as error:
        fix = error.suggestion and f"{flag} {error.suggestion}"
        yield make_invalid_value_problem(flag, dataset_name, "the name of an OSMO dataset", error.why, fix)
        return
    if osmo_dataset.version:
        fix = f"{flag} {dataset.OsmoDataset(osmo_dataset.name, osmo_dataset.bucket)}"
        reason = "The version is chosen when it is written."
        yield make_invalid_value_problem(flag, dataset_name, "a dataset without a version", reason, fix)
    elif not is_placed:
        yield from _check_bucket_place(osmo_dataset.bucket or bucket, flag, dataset_name, settings)


def check_upload_storage(job: Job, settings: OsmoSettings) -> Iterator[Problem]:
    """Check that local folders can be uploaded, code by the name that it is given."""
    for source in job.sources:
        inline = source.role == "code" and settings.delivery != "dataset"  # `render` says if it is too large
        if source.kind == "local_path" and source.role == "code" and settings.code_dataset:
            flag, dataset_name = dataset.CODE_NAME_FLAG, settings.code_dataset
            bucket = inputs.choose_default_bucket("code", settings)
            yield from _check_written_dataset(flag, dataset_name, bucket, False, settings)
            if settings.delivery == "inline":
                yield make_problem("options-conflict", where=flag, given=dataset_name)
        elif source.kind == "local_path" and not settings.storage_account and not inline:
            flag = inputs.INPUT_FLAGS.get((source.role, source.kind), "")
            alternative = {
                "dataset": f"--blob-url {BLOB_URL_FORM}",
                "policy": f"--policy-url {BLOB_URL_FORM}",
                "code": "--delivery inline",
            }.get(source.role, f"{flag} {BLOB_URL_FORM}")
            fixes = ("--storage-account NAME", alternative)
            yield make_problem(
                "value-missing.storage", *fixes, where=flag, given=source.uri, absent=("storage_account",)
            )


def check_resume_source(job: Job) -> Iterator[Problem]:
    """Check that a storage URL to resume from names one checkpoint."""
    for source in job.sources:
        if source.kind == storage.KIND.name:
            yield from inputs.check_checkpoint_url(source.uri)
