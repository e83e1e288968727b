"""What a job left that outlives its machine: checkpoints or results in its declared output, those that it published,
and models among the artifacts of its tracking.
"""

import sys
from collections.abc import Iterator, Mapping

from robotrain.problem import Rejected
from robotrain.run import Output, Reference
from robotrain_azure.heard import Heard

from robotrain_azureml.kinds.datastore_path import DatastorePath
from robotrain_azureml.service.refusals import Refused
from robotrain_azureml.watch import outputs_kept, outputs_missing, status_asked
from robotrain_azureml.watch.heard import heard
from robotrain_azureml.watch.outputs_kept import ARTIFACTS, Kept

BLOBS = "blob_url"
"""The source kind that reads what was published, and models."""
MODELS = "models"
"""The folder of their names; beside it lie the checkpoints, which a training can go on from."""


def outputs(reference: Reference) -> list[Output]:
    """The checkpoints, oldest first, or the results, then models. Raises RunGone, and Rejected: also when it made some
    that are not there.
    """
    told, _ = status_asked.ask(reference)
    if told.state == "pending" and not told.logs:
        return []
    said = heard(reference)
    found = {one.name: one for one in _published(said)}
    sealed = _sealed(reference, published=bool(found))
    found |= {name: _of(name, one) for name, one in sealed.items() if not one.lacking}
    torn = {name: one for name, one in sealed.items() if name not in found}
    models = list(_models(reference, said))
    if not found and not models and (said.known.checkpoint or said.evaluated or torn):
        raise Rejected([outputs_missing.problem(reference, told, torn)])
    if told.finished:
        _warn(torn)
    return [*sorted(found.values(), key=lambda one: one.step or 0), *models]


def _published(said: Heard) -> Iterator[Output]:
    for one in said.published:
        model = said.models.get(one.step, "")
        yield Output(name=_name(one.step), kind="checkpoint", source=BLOBS, uri=one.to, step=one.step, model=model)
    if said.results:
        yield Output(name=said.results_name, kind="file", source=BLOBS, uri=said.results)


def _sealed(reference: Reference, published: bool) -> dict[str, Kept]:
    """What lies in the declared output, by its name as an output, whole or not. Raises Refused where nothing was
    published either.
    """
    try:
        there = outputs_kept.sealed(reference, outputs_kept.place(reference))
    except Refused as refused:
        if not published:
            raise
        print(f"warning: what lies in the job's output cannot be listed from here: {refused}", file=sys.stderr)
        return {}
    return {_name(one.made.step) if one.folder else outputs_kept.name(reference): one for one in there}


def _warn(torn: Mapping[str, Kept]) -> None:
    """Of a job that writes no more."""
    for name, one in torn.items():
        print(f"warning: {name} lies in the job's output and {outputs_missing.lacks(one)}", file=sys.stderr)


def _of(name: str, kept: Kept) -> Output:
    if not kept.folder:
        return Output(name=name, kind="file", source=DatastorePath.kind, uri=kept.uri, size=kept.size)
    return Output(
        name=name,
        kind="checkpoint",
        source=DatastorePath.kind,
        uri=kept.uri,
        step=kept.made.step,
        model=kept.made.model,
        digest=kept.made.digest,
        size=kept.size,
    )


def _models(reference: Reference, said: Heard) -> Iterator[Output]:
    """Those that tracking has; none where nobody tells where artifacts lie."""
    if not (artifacts := said.artifacts(reference["job"])):
        return
    try:
        url = outputs_kept.named(reference, ARTIFACTS).url
    except Refused:
        return
    for step, artifact in sorted(artifacts.items()):
        uri = f"{url}/{outputs_kept.artifact(reference, artifact)}"
        yield Output(name=f"{MODELS}/{step:06}", kind="file", source=BLOBS, uri=uri)


def _name(step: int) -> str:
    return f"checkpoints/{step:06}"
