"""Rules on where data and checkpoints lie: buckets, and the storage of what is uploaded."""

import re
from collections.abc import Iterator

from robotrain.job import Job
from robotrain.problem import Problem
from robotrain.redaction import redact
from robotrain.source import SourceError
from robotrain.tables import pairs
from robotrain_azure.finding import cannot, missing, ways
from robotrain_runtime.document import Source

from robotrain_osmo import names
from robotrain_osmo.kinds import dataset, storage
from robotrain_osmo.rules.finding import unfit
from robotrain_osmo.settings import Settings
from robotrain_osmo.spec import brought, resumed

BLOB = "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"


def buckets(settings: Settings) -> Iterator[Problem]:
    """Names with an address each."""
    for name, text in pairs(settings.buckets or "").items():
        if not re.fullmatch(names.DATASET, name):
            why = f"{redact(name)!r} is no name of a bucket: letters, digits, `-` and `_`."
            yield unfit("--buckets", name, "buckets with an address each", why)
        try:
            storage.parse(text)
        except SourceError as error:
            instead = ways(f"--buckets {name}={error.instead or storage.FORM}")
            yield unfit("--buckets", text, "addresses of OSMO's storage", error.why, instead)
    if not re.fullmatch(names.DATASET, settings.dataset_bucket):
        why = "It is letters, digits, `-` and `_`."
        yield unfit("--dataset-bucket", settings.dataset_bucket, "the name of a bucket", why)
    if not re.fullmatch(names.CONTAINER, settings.storage_container):
        why = "It is 3 to 63 small letters, digits and single dashes."
        yield unfit("--storage-container", settings.storage_container, "the name of a container", why)


def datasets(job: Job, settings: Settings) -> Iterator[Problem]:
    """What OSMO has no datasets for any more lies in a bucket whose place has to be known."""
    if settings.server in brought.WITH_DATASETS:
        return
    for source in job.sources:
        if source.kind == dataset.KIND.name:
            yield from _dataset(source, settings)


def _dataset(source: Source, settings: Settings) -> Iterator[Problem]:
    one = dataset.parse(source.uri)
    bucket = one.bucket or settings.dataset_bucket
    if one.version:
        plain = dataset.OsmoDataset(one.name, one.bucket)
        title = f"OSMO {settings.server} has no versions of datasets"
        why = "Its datasets are folders in a bucket since 6.4; which version is the one there is for you to see to."
        instead = ways(f"{dataset.FLAG} {plain}", "--server 6.3")
        yield cannot("osmo-server-without", title, dataset.FLAG, why, instead, source.uri)
    if bucket in pairs(settings.buckets or ""):
        return
    place = ways(f"--buckets {bucket}=azure://ACCOUNT/CONTAINER")
    if not settings.storage_account:
        title = f"nobody said where the bucket {bucket} lies"
        why = "OSMO reads addresses since 6.4: the bucket's own, or the storage account with a container of its name."
        more = ways("--storage-account NAME", "--server 6.3")
        yield missing("osmo-bucket-unknown", title, dataset.FLAG, why, place + more, source.uri)
    elif not re.fullmatch(names.CONTAINER, bucket):
        title = f"the bucket {bucket} is no container of the storage account {settings.storage_account}"
        why = "A container's name is 3 to 63 small letters, digits and single dashes: say where the bucket lies."
        yield missing("osmo-bucket-unknown", title, dataset.FLAG, why, place, source.uri)


def uploads(job: Job, settings: Settings) -> Iterator[Problem]:
    """A folder of this machine needs a place that the cluster reads."""
    for source in job.sources:
        if source.kind == "local_path" and not settings.storage_account:
            flag = brought.FLAGS.get((source.role, source.kind), "")
            why = "A folder of this machine is uploaded first, by its content, and no storage account is known."
            other = {"dataset": f"--blob-url {BLOB}", "policy": f"--policy-url {BLOB}"}.get(
                source.role, f"{flag} {BLOB}"
            )
            title = "nobody said where the folder is uploaded to"
            instead = ways("--storage-account NAME", other)
            yield missing("osmo-no-storage", title, flag, why, instead, source.uri)


def to_go_on_from(job: Job) -> Iterator[Problem]:
    """One checkpoint is brought."""
    for source in job.sources:
        if source.kind == storage.KIND.name:
            yield from resumed.wrong_with(source.uri)
