"""Runs that belong together: a training and the evaluations of what it left."""

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robotrain_runtime.document import Source
from robotrain_runtime.event import Evaluated

from robotrain import progress, sent_plans, store
from robotrain.problem import Rejected
from robotrain.progress import Progress
from robotrain.run import Output, RunRecord
from robotrain.workload import Metric

if TYPE_CHECKING:
    from robotrain.plugins import Plugins

LOOKED_THROUGH, MOST = 500, 20
"""Of the newest runs; and of those that are asked what they found."""
PARTS = re.compile(r"[/:@]+")


@dataclass(frozen=True, slots=True)
class Known:
    """Another run. state: empty where its platform does not say; told: what it found, None where nobody says; metrics:
    those that its workload declares.

    trained, content: the run that trained the policy, and the policy's digest, as far as its log tells.
    """

    run: str
    state: str = ""
    told: Evaluated | None = None
    metrics: Sequence[Metric] = ()
    trained: str = ""
    content: str = ""


TRAINED, SHA256 = "policy_run", "model_sha256"
"""The tags of an evaluation that name the run that trained the policy, and the policy's content."""


def evaluations(record: RunRecord, known: Progress, outputs: Sequence[Output], plugins: "Plugins") -> tuple[Known, ...]:
    """The runs recorded here that were given a policy of this run and evaluated it, newest first."""
    places, names = _places(known, outputs), _names(record, known)
    if known.evaluated or not (places or known.checkpoint):
        return ()
    given = {run: _policies(run) for run in _others(record.run)}
    own = [run for run, policies in given.items() if any(_is_of(one, places, names) for one in policies)][:MOST]
    others = [run for run, policies in given.items() if policies and run not in own][:MOST]
    found = [_asked(run, plugins) for run in own]
    contents = {one.content for one in found} - {""}
    found += [one for one in map(functools.partial(_asked, plugins=plugins), others) if _is_same(one, names, contents)]
    order = {run: at for at, run in enumerate(given)}
    return tuple(sorted((one for one in found if one.told), key=lambda one: order[one.run]))


def trained(sources: Sequence[Source], tags: Mapping[str, str]) -> str:
    """The run recorded here whose policy it was given; empty for none. tags: what the run found of its origin."""
    given = {part for one in sources if one.role == "policy" for part in PARTS.split(one.uri)}
    given.add(tags.get(TRAINED, ""))
    return next((run for run in store.newest() if run in given), "")


def _places(known: Progress, outputs: Sequence[Output]) -> tuple[str, ...]:
    """Where the checkpoints of a run can be found."""
    own = (one.uri for one in outputs if one.kind == "checkpoint")
    return tuple({*own, *(one.to for one in known.published), *(one.uri for one in known.registered if one.uri)})


def _names(record: RunRecord, known: Progress) -> set[str]:
    """What no address of something else has as a part."""
    tracked = str((known.tracking or {}).get("run_id") or "")
    return {record.run, tracked} - {""}


def _is_of(source: Source, places: Sequence[str], names: set[str]) -> bool:
    below = any(source.uri == place or source.uri.startswith(place.rstrip("/") + "/") for place in places)
    return below or not names.isdisjoint(PARTS.split(source.uri))


def _is_same(one: Known, names: set[str], contents: set[str]) -> bool:
    """Whether a policy from elsewhere, as a registry, is one of the run after all."""
    return one.trained in names or one.content in contents


def _others(run: str) -> Iterator[str]:
    return (name for name in itertools.islice(store.newest(), LOOKED_THROUGH) if name != run)


def _policies(run: str) -> list[Source]:
    return [one for one in sent_plans.sources(run) if one.role == "policy"]


def _asked(run: str, plugins: "Plugins") -> Known:
    """What a run found; a platform that cannot be asked takes nothing else away."""
    try:
        record = store.read(run)
        platform = plugins.platform(record.platform)
        state = platform.status(record.reference).state
        known = progress.read(platform.logs(record.reference, False), record.metrics)
        return Known(
            run, state, known.evaluated, record.metrics, known.tags.get(TRAINED, ""), known.tags.get(SHA256, "")
        )
    except (Rejected, OSError):
        return Known(run)
