"""A run of another machine: its record, its platform or its published checkpoint says its job, to submit that again."""

import dataclasses
import json
import os
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.added_packages import find_other_line
from robotrain_runtime.contract.checkpoint import MANIFEST, OTHER_MACHINE, CheckpointManifest
from robotrain_runtime.contract.document import DOCUMENT_FILE, JobDocument, collect_portable, parse_document
from robotrain_runtime.contract.parameter import get_parameters

from robotrain import __version__
from robotrain.check.capability_checks import ENVIRONMENT_SETTING
from robotrain.config.selection import split_assignment
from robotrain.config.validate import list_fields
from robotrain.config.values import Origin
from robotrain.errors import Rejected, collect_problems, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import Job, parse_attempt
from robotrain.model.plan import Payload, Plan, RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.run import RunRecord
from robotrain.model.source import LOCAL_KIND, SourceError, SourceKind
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact, value_holds_secret
from robotrain.store import run_values, stored_job
from robotrain.store.records import UnknownRun
from robotrain.store.run_values import RESUME_ROLE
from robotrain.submission import absent_parts, adoption, carried_record, resubmit, same_job
from robotrain.submission.prepare import PreparedJob

make_problem = Messages(__file__)


class OtherMachineRun(NamedTuple):
    """A run that another machine submitted."""

    stored: RenderedPlan
    """Its job and the settings that are known, without a payload."""
    name: str
    personal: Mapping[str, Any]
    """The settings that name something of the user who submitted it: they do not count on this machine."""

    def find_platform(self, name: str, plugins: Plugins) -> Platform:
        """Return the platform of a name, or without one that of the run. Raise Rejected."""
        stored_platform = self.stored.plan.platform
        if not name and stored_platform not in plugins.platforms():
            raise Rejected([make_problem("not-on-this-machine.platform", given=stored_platform, name=stored_platform)])
        return plugins.platform(name or stored_platform)

    def move_to(self, platform: Platform) -> RenderedPlan:
        """Return the plan for a platform, with the accounts, addresses and folders of this machine's configuration.

        Other settings of the run stay, if it ran on that platform and they are known.
        """
        moved_plan = resubmit.move_plan(self.stored, platform)
        if self.stored.plan.platform != platform.name or not self.stored.settings:
            return moved_plan
        runs_here = bool(platform.capabilities.feature("runs_here"))
        declared_settings = get_parameters(platform.settings)
        local_names = {
            parameter.name for parameter in declared_settings if parameter.param.path or parameter.param.names
        }
        local_names |= {parameter.name for parameter in declared_settings if parameter.param.destination and runs_here}
        carried_settings = {name: value for name, value in self.stored.settings.items() if name not in local_names}
        accounts = {parameter.name for parameter in declared_settings if parameter.param.destination}
        moved_settings = {
            name: value
            for name, value in moved_plan.settings.items()
            if name in accounts or name not in carried_settings
        }
        return dataclasses.replace(moved_plan, settings={**carried_settings, **moved_settings})


def find_other_machine_run(text: str, plugins: Plugins, unknown: UnknownRun) -> OtherMachineRun:
    """Return the run of a published checkpoint. Raise Rejected; `unknown` for what may be a name of this machine."""
    if value_holds_secret(text):
        raise Rejected([make_problem("job-not-known.signed")])
    if document := _read_published(text, plugins):
        return _restore_run(text, document, plugins)
    is_name = os.sep not in text and ":" not in text
    raise unknown if is_name else Rejected([make_problem("job-not-known", given=adoption.format_address(text))])


def read_adopted_run(record: RunRecord, plugins: Plugins) -> OtherMachineRun:
    """Return a run that is recorded here as an address of it gives it. Raise Rejected."""
    try:
        document = parse_document(stored_job.read_stored_document(record.run).decode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "It is damaged."
        raise Rejected(
            [make_problem("plan-not-kept.unreadable", given=record.run, run=record.run, why=reason)]
        ) from None
    run = _restore_run(record.run, dataclasses.replace(document, run=record.run), plugins)
    return run._replace(name=record.name)


def _read_published(text: str, plugins: Plugins) -> JobDocument | None:
    """Return the job of a checkpoint; None if the text names none. Raise Rejected."""
    folder = Path(os.path.expanduser(text))
    if folder.is_dir() and (os.sep in text or text.startswith(".")):
        manifest = _find_manifest(folder)
        return _parse_job(text, manifest) if manifest else None
    kinds = plugins.source_kinds().values()
    kind = next(
        (
            source_kind
            for source_kind in kinds
            if source_kind.name != LOCAL_KIND and _is_checkpoint_of(source_kind, text)
        ),
        None,
    )
    return _parse_job(text, _read_manifest(text, kind)) if kind else None


def _is_checkpoint_of(kind: SourceKind, text: str) -> bool:
    return RESUME_ROLE in kind.roles and kind.pinning is not None and kind.recognizes_as(RESUME_ROLE, text)


def _find_manifest(folder: Path) -> CheckpointManifest | None:
    """Return the manifest of a checkpoint, of the model in one, or of the newest one in a folder; None if none has."""
    checkpoint_paths = (path for _, path in checkpoint.list_checkpoints(folder))
    manifests = map(checkpoint.read_manifest, (folder, folder.absolute().parent, *checkpoint_paths))
    return next((manifest for manifest in manifests if manifest), None)


def _read_manifest(text: str, kind: SourceKind) -> CheckpointManifest:
    """Return the manifest of a checkpoint elsewhere. Raise Rejected."""
    address, source = redact(text, kind.schemes), None
    assert kind.pinning
    try:
        source = kind.parse(text, Path("/"))
        pin = kind.pinning.resolve(source, RESUME_ROLE)
        manifest_bytes = kind.pinning.read_files(source, RESUME_ROLE, pin, [MANIFEST]).get(MANIFEST, b"")
    except SourceError as error:
        suggested_address = (
            text.replace(str(source), error.suggestion) if source and error.suggestion else error.suggestion
        )
        ways = [
            f"robotrain resubmit {shlex.quote(suggested_address)}"
            if _is_checkpoint_of(kind, suggested_address)
            else error.suggestion
        ]
        raise Rejected([make_problem("job-not-known.unread", *ways, given=address, why=error.why)]) from None
    if manifest := checkpoint.parse_manifest(manifest_bytes):
        return manifest
    raise Rejected([make_problem("job-not-known.unsealed", given=address)])


def _parse_job(text: str, manifest: CheckpointManifest) -> JobDocument:
    """Return the job in the manifest of a checkpoint, with no more than robotrain writes there. Raise Rejected."""
    run = redact(manifest.run)
    if not manifest.document:
        raise Rejected([make_problem("job-not-known.not-kept", given=text, run=run)])
    try:
        return parse_document(json.dumps(collect_portable(parse_document(json.dumps(manifest.document)))))
    except (ValueError, TypeError):
        record = manifest.document.get("record") if isinstance(manifest.document, dict) else None
        writer_version = record.get(carried_record.WRITER_KEY, "") if isinstance(record, dict) else ""
        writer = redact(str(writer_version)) or "another version"
        problem = make_problem("job-not-known.other-version", given=text, writer=writer, own=__version__)
        raise Rejected([problem]) from None


def _restore_run(text: str, document: JobDocument, plugins: Plugins) -> OtherMachineRun:
    """Return the run of a document. Raise Rejected."""
    workload = plugins.workload(document.workload)
    try:
        job = carried_record.restore_job(document, workload)
        is_right = document.run == job.run_name(parse_attempt(document.run)) or OTHER_MACHINE in str(document)
        settings = dict(document.record.get("settings", {}))
    except (ValueError, TypeError, LookupError, AttributeError):  # of a document that somebody edited
        is_right = False
    if not is_right:
        raise Rejected([make_problem("job-not-known.changed", given=text)])
    own_platform = plugins.platforms().get(document.platform)
    personal_settings: dict[str, Any] = {}
    if own_platform and settings:
        carried_names, (typed_settings, _) = (
            {*settings},
            resubmit.restore_settings(settings, own_platform, Origin("run", document.run)),
        )
        settings = dict(list_fields(typed_settings))
        if settings.get(same_job.SECRETS_SETTING):  # whoever sent that run is not told of this one
            settings[same_job.SECRETS_SETTING] = same_job.leave_out_webhook(settings[same_job.SECRETS_SETTING])
        for name in carried_names.intersection(carried_record.list_personal_settings(own_platform)):
            value = settings.pop(name)
            if value and carried_record.was_chosen(document, name):
                personal_settings[name] = value
    if path := document.placement.environment:
        personal_settings.setdefault(ENVIRONMENT_SETTING, path)
    chosen_values = document.record.get("values") or _guess_chosen(job, workload.parameters)
    document = dataclasses.replace(document, record={**document.record, "values": chosen_values})
    document_bytes = document.to_json().encode()
    plan = Plan(
        platform=document.platform, run=document.run, job=job, spec=DOCUMENT_FILE, files={DOCUMENT_FILE: document_bytes}
    )
    value_rows = tuple(carried_record.restore_values(document, job, settings, workload))
    stored_plan = RenderedPlan(
        plan=plan, settings=settings, container_plugins={}, payload=Payload(b""), values=value_rows
    )
    return OtherMachineRun(stored_plan, job.record.get("name", ""), personal_settings)


def _guess_chosen(job: Job, parameters_class: type) -> dict[str, tuple[str, str]]:
    """Return the parameters that differ from their defaults, as somebody may have chosen them."""
    defaults = {parameter.name: parameter.default for parameter in get_parameters(parameters_class)}
    rows = ((name, value, defaults.get(name)) for name, value in job.parameters)
    value_texts = (
        (name, run_values.format_value(value), run_values.format_value(default)) for name, value, default in rows
    )
    return {name: (value, default) for name, value, default in value_texts if value != default}


def repeat_other_machine_run(
    run: OtherMachineRun,
    platform: Platform,
    sets: Sequence[str],
    plugins: Plugins,
    trainer_args: Sequence[str] = (),
    flags: frozenset[str] = frozenset(),
    is_pinned_again: bool = False,
    replaced_roles: Collection[str] = (),
) -> PreparedJob:
    """Return the job of a run for a platform, with changes as `change_job` takes them.

    Raise Rejected with all that is not here, beside what is wrong.

    :param replaced_roles: the roles whose sources are not used.
    """
    base = run.move_to(platform)
    changed_keys = {split_assignment(assignment)[0] for assignment in sets} | {
        f"sources.{role}." for role in replaced_roles
    }
    problems = list(absent_parts.find_absent_parts(base, run.personal, changed_keys, platform, plugins))
    if not is_pinned_again and (lock_line := find_other_line(base.plan.job.program_lock)):
        problems.append(make_problem("not-on-this-machine.lock", given=lock_line))
    prepared: PreparedJob | None = None
    with collect_problems(problems):
        repeated_plan = resubmit.remove_plan_pins(base) if is_pinned_again else base
        prepared = resubmit.change_job(repeated_plan, sets, plugins, trainer_args, flags)
    raise_if_any(problems)
    assert prepared
    return prepared if is_pinned_again else _keep_pins(prepared, base.plan.job, plugins)


def _keep_pins(prepared: PreparedJob, earlier_job: Job, plugins: Plugins) -> PreparedJob:
    """Return the job with the pins that its folders had on another machine: a folder in their place is the same."""
    pins: dict[str, list[str]] = {}
    for source in earlier_job.sources:
        if source.kind == LOCAL_KIND and not source.implied:
            pins.setdefault(source.role, []).append(source.pin)
    sources, count = [], dict[str, int]()
    for source in prepared.job.sources:
        role_pins = pins.get(source.role, [])
        if source.kind == LOCAL_KIND and not source.implied:
            index = count[source.role] = count.get(source.role, -1) + 1
            if not source.pin and index < len(role_pins):
                source = dataclasses.replace(source, pin=role_pins[index])
        sources.append(source)
    return resubmit.replace_sources(prepared, tuple(sources), plugins)
