"""When two jobs are the same, on one machine or on two: whatever their names, notes and notifications are."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.document import JobSource, Scalar
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.contract.secret_rules import NOTIFY_VARIABLE

from robotrain.config.values import PLATFORM_LAYER, Origin
from robotrain.model.job import SAME_KEY, Job
from robotrain.model.platform import Platform
from robotrain.submission.carried_record import list_personal_settings

SECRETS_SETTING = "secrets"
"""Which has the webhook that a run tells, too."""
KEY_LENGTH = 32


class JobPart(NamedTuple):
    """What a run has besides its job's digest: for each step of a pipeline, else once."""

    settings: Mapping[str, Scalar]
    sources: Sequence[JobSource]
    """With their pins."""
    values: Sequence[Mapping[str, Any]]
    """With the origins of the settings."""
    program_lock: str = ""
    """The packages of its program; empty if they are not known yet."""


def make_same_key(job: Job, parts: Iterable[JobPart], platform: Platform) -> str:
    """Return what the same job, pipeline or sweep has on every machine, and no other: a digest, in hexadecimal.

    Settings that name a program of one machine do not count, nor what `has_same_values` leaves out.
    """
    programs = {name for name, kind in list_personal_settings(platform).items() if kind == "program"}
    key_parts: list[object] = [platform.name, job.digest]
    for part in parts:
        setting_names = _list_given_names(part, platform.name) - programs
        settings = {name: value for name in setting_names if (value := _read_setting(part, name)) is not None}
        key_parts += [[source.pin for source in part.sources], part.program_lock, settings]
    return hashlib.sha256(json.dumps(key_parts, sort_keys=True).encode()).hexdigest()[:KEY_LENGTH]


def carry_same_key(job: Job, parts: Iterable[JobPart], platform: Platform) -> Job:
    """Return the job that stands for a pipeline or a sweep with what it has on every machine."""
    return dataclasses.replace(job, record={**job.record, SAME_KEY: make_same_key(job, parts, platform)})


def has_same_values(own_part: JobPart, other_part: JobPart, platform: str) -> bool:
    """Return whether settings and pins are equal. A source that is not pinned fits any pin.

    Settings that the platform looked up fit any that it looked up, or did not; the webhook that a run tells fits any.
    """
    pins = zip((source.pin for source in own_part.sources), (source.pin for source in other_part.sources), strict=False)
    if any(pin != other_pin and pin and other_pin for pin, other_pin in pins):
        return False
    if own_part.program_lock != other_part.program_lock and own_part.program_lock and other_part.program_lock:
        return False
    chosen_names = _list_given_names(own_part, platform) | _list_given_names(other_part, platform)
    return all(_read_setting(own_part, name) == _read_setting(other_part, name) for name in chosen_names)


def _read_setting(part: JobPart, name: str) -> Scalar | None:
    value = part.settings.get(name)
    return leave_out_webhook(value) if name == SECRETS_SETTING and isinstance(value, str) else value


def _list_given_names(part: JobPart, platform: str) -> set[str]:
    """Return the settings that have a value which the platform did not look up."""
    looked_up = list_platform_given_names(part.values, platform)
    return {name for name, value in part.settings.items() if value is not None and name not in looked_up}


def list_platform_given_names(value_rows: Iterable[Mapping[str, Any]], platform: str) -> set[str]:
    """Return the names of the values that come from the platform itself."""
    prefix = str(Origin(PLATFORM_LAYER, f"{platform}: "))
    return {str(row["name"]) for row in value_rows if str(row["origin"]).startswith(prefix)}


def leave_out_webhook(secrets_text: str | None) -> str | None:
    """Return the setting of a job's secrets without the address of the webhook."""
    remaining_secrets = {name: address for name, address in load_pairs(secrets_text).items() if name != NOTIFY_VARIABLE}
    return json.dumps(remaining_secrets) if remaining_secrets else None
