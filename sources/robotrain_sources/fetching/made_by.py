"""Which run trained a policy, as the tags of its version in a registry, or of the run that evaluated it, tell."""

from collections.abc import Mapping

from robotrain_runtime import parentage

EVALUATED = "policy_uri"
"""A tag of a version that an evaluation registered: its other tags are of that, not of the training."""
TRAINED = {parentage.RUN: "robotrain_run", parentage.JOB: "job_digest", parentage.DIGEST: "checkpoint_sha256"}
CHECKPOINT = "checkpoint"
"""The tag that is the step, as a folder's name."""


def of(tags: Mapping[str, str]) -> dict[str, str]:
    """By the names of `parentage`; nothing that is not known."""
    if said := {name: tags[name] for name in (*TRAINED, parentage.STEP) if tags.get(name)}:
        return said
    run = {} if EVALUATED in tags else {name: tags[tag] for name, tag in TRAINED.items() if tags.get(tag)}
    step = tags.get(CHECKPOINT, "")
    return {**run, parentage.STEP: str(int(step))} if step.isdecimal() and int(step) else run
