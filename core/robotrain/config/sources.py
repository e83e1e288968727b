"""Sources of a job: for each role, the strongest layer that names any gives all of them."""

import dataclasses
import json
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from robotrain_runtime.contract.document import JobSource, RoleName

from robotrain.config.request import Request
from robotrain.config.values import DEFAULT_ORIGIN, IMPLIED_ORIGIN, Layer, Origin, SourceText, make_variable_name
from robotrain.config.variables import VariableLayer
from robotrain.errors import (
    Problem,
    Suggestion,
    suggest_choosing,
)
from robotrain.messages import Messages
from robotrain.model.capabilities import Capabilities
from robotrain.model.source import RoleFlag, Source, SourceError, SourceKind
from robotrain.model.workload import Role
from robotrain.nearest_name import suggest_name
from robotrain.redaction import can_repeat, redact, value_holds_secret

make_problem = Messages(__file__)

MAX_SOURCES = 64
"""The maximum in one role; more is probably a mistake in a script."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Input:
    """A parsed source with its role and origin."""

    role: str
    source: Source
    origin: Origin
    text: SourceText | None = None
    """What it was parsed from; None for a source of a stored plan."""
    implied: bool = False
    """Whether the job implies it, so that nobody gave it."""

    @property
    def where(self) -> str:
        """Its place in messages: the flag or the line that gave it."""
        return f"{self.role} ({IMPLIED_ORIGIN})" if self.implied else self.origin.where

    @property
    def job_source(self) -> JobSource:
        """The source as the job and its document have it."""
        role = cast("RoleName", self.role)
        kind, uri = self.source.kind, str(self.source)
        return JobSource(role=role, kind=kind, uri=uri, implied=self.implied)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobInputs:
    """The sources of a job."""

    chosen: tuple[Input, ...]
    overrode: tuple[SourceText, ...]
    """Texts of weaker layers that a stronger one replaced."""
    problems: tuple[Problem, ...]
    unread: frozenset[str] = frozenset()
    """The roles with an invalid source."""


def collect_sources(
    request: Request,
    layers: Sequence[Layer],
    roles: Mapping[str, Role],
    kinds: Mapping[str, SourceKind],
    capabilities: Capabilities,
    parameters: Mapping[str, Any],
) -> JobInputs:
    """Return the sources of every role.

    :param capabilities: of the platform: suggestions leave out kinds that it does not support.
    :param parameters: of the job, by which a role has a default.
    """
    problems: list[Problem] = []
    chosen_inputs: list[Input] = []
    overridden_sources: list[SourceText] = []
    unread_roles: set[str] = set()
    levels = [list(_select_known(layer.sources, kinds, roles, problems)) for layer in layers]
    for role, rule in roles.items():
        texts_by_level = ([source_text for source_text in level if source_text.role == role] for level in levels)
        source_texts, *weaker_levels = [*filter(None, texts_by_level)] or [[]]
        if not source_texts and role not in request.unread and (default := rule.default(parameters)):
            candidates = (kind for kind in kinds.values() if role in kind.roles)
            kind_names = tuple(kind.name for kind in candidates if kind.recognizes_as(role, default))
            source_texts = [SourceText(role, kind_names, default, DEFAULT_ORIGIN, Path("/"))] if kind_names else []
        if rule.takes_all and parameters.get(rule.takes_all) is not None:
            source_texts = [_mean_all_checkpoints(source_text, kinds) for source_text in source_texts]
        overridden_sources += [source_text for level in weaker_levels for source_text in level]
        problems += _find_conflicts(source_texts, role, rule, kinds)
        for source_text in source_texts:
            source = parse_source(source_text, kinds, capabilities)
            if isinstance(source, Problem):
                problems.append(source)
                unread_roles.add(role)
                continue
            chosen_inputs.append(Input(role=role, source=source, origin=source_text.origin, text=source_text))
            meanings = (kinds[name].describe_meaning(source_text.text, source) for name in source_text.kinds)
            problems += (make_problem("source-found", role=role, meaning=redact(text)) for text in meanings if text)
    problems += _find_warnings(chosen_inputs, kinds)
    return JobInputs(
        chosen=tuple(chosen_inputs),
        overrode=tuple(overridden_sources),
        problems=tuple(problems),
        unread=frozenset(unread_roles),
    )


def _mean_all_checkpoints(source_text: SourceText, kinds: Mapping[str, SourceKind]) -> SourceText:
    """Return a text that means the newest checkpoint as one that means all of them; any other as it is."""
    candidates = [kinds[name] for name in source_text.kinds]
    fitting_kinds = [
        kind for kind in candidates if len(candidates) == 1 or kind.recognizes_as(source_text.role, source_text.text)
    ]
    suffix = fitting_kinds[0].all_checkpoints if fitting_kinds else ""
    if not suffix or not source_text.text.strip() or suffix[0] in source_text.text:
        return source_text
    return source_text._replace(text=f"{source_text.text.strip()}{suffix}")


def _select_known(
    sources: Sequence[SourceText],
    kinds: Mapping[str, SourceKind],
    roles: Mapping[str, Role],
    problems: list[Problem],
) -> Iterator[SourceText]:
    for source in sources:
        fitting_names = [name for name, kind in kinds.items() if source.role in kind.roles]
        if source.role not in roles:
            problems.append(_make_unknown_problem("sources", source.role, list(roles), source.origin.where))
        elif source.kinds[0] not in fitting_names:
            what = f"a source of role {source.role}"
            problems.append(_make_unknown_problem(what, source.kinds[0], fitting_names, source.origin.where))
        else:
            yield source


def read_variable_sources(
    layer: VariableLayer, roles: Mapping[str, Role], kinds: Mapping[str, SourceKind]
) -> Iterator[SourceText]:
    """Yield the sources of variables."""
    by_flag: dict[tuple[str, RoleFlag], tuple[str, ...]] = {}
    for role in roles:
        for name, kind in kinds.items():
            if role in kind.roles:
                key = role, kind.roles[role]
                by_flag[key] = (*by_flag.get(key, ()), name)
    for (role, flag), kind_names in by_flag.items():
        variable_value = layer.find_first((make_variable_name(flag.flag), *flag.env))
        if variable_value is None:
            continue
        revision = layer.find_first(flag.revision_env) if flag.revision_env else None
        for source_address in _split_list(str(variable_value.value)):
            origin, full_address = variable_value.origin, source_address
            if revision and "@" not in source_address:
                full_address = f"{source_address}@{revision.value}"
                origin = origin._replace(where=f"{origin.where}, {revision.origin.where}")
            yield SourceText(role=role, kinds=kind_names, text=full_address, origin=origin, base=Path.cwd())


def _split_list(variable_text: str) -> Sequence[str]:
    """Return the value of a variable, or the values of a JSON list."""
    if variable_text.lstrip().startswith("["):
        try:
            json_list = json.loads(variable_text)
        except ValueError:
            return [variable_text]
        if isinstance(json_list, list) and all(isinstance(part, str) for part in json_list):
            return json_list
    return [variable_text]


def parse_source(
    text: SourceText, kinds: Mapping[str, SourceKind], capabilities: Capabilities | None = None
) -> Source | Problem:
    """Return the source that a text stands for, or what is wrong with it.

    :param capabilities: of the platform, if known: a kind that it supports is preferred, and others are not suggested.
    """
    candidates = [kinds[name] for name in text.kinds]
    matches = [kind for kind in candidates if kind.recognizes_as(text.role, text.text)]
    if not matches and text.text and os.path.exists(path := os.path.join(text.base, text.text)):  # a relative path
        matches = [kind for kind in candidates if kind.recognizes_as(text.role, path)]
    supported_kinds = [
        kind for kind in matches if capabilities and capabilities.source(text.role, kind)
    ]  # several may recognize it
    kind = next(iter((*supported_kinds, *matches)), candidates[0])
    try:
        source = kind.parse_as(text.role, text.text, text.base)
        if text.role not in getattr(kinds.get(source.kind), "roles", ()):  # a parser may return another kind
            raise SourceError(f"It stands for a {source.kind}, which is not installed as a {text.role}.")
        if value_holds_secret(str(source)):  # if its kind did not refuse it
            raise SourceError("It contains what looks like a secret, and jobs are stored and sent unencrypted.")
        return source
    except SourceError as error:
        offered_kinds = {name: kind for name, kind in kinds.items() if text.role in kind.roles}
        if capabilities:
            levels = {name: capabilities.source(text.role, kind).level for name, kind in offered_kinds.items()}
            offered_kinds = {
                name: kind for name, kind in offered_kinds.items() if levels[name] not in ("no", "not_yet")
            }
        schemes = tuple(scheme for source_kind in kinds.values() for scheme in source_kind.schemes)
        return make_problem(
            "source-invalid.recognized" if matches else "source-invalid.value",
            *_suggest_sources(text, kind, error, offered_kinds),
            where=text.origin.where,
            given=redact(text.text, schemes),
            flag=kind.roles[text.role].flag,
            titles=" or ".join(candidate.title for candidate in candidates),
            why=error.why,
        )


def _suggest_sources(
    source_text: SourceText, kind: SourceKind, error: SourceError, offered_kinds: Mapping[str, SourceKind]
) -> tuple[Suggestion, ...]:
    """Return what to use instead: what its kind says, the kind that recognizes it, or the forms that it can have."""
    role = source_text.role
    flag = kind.roles[role].flag
    if error.suggestion:
        is_command = error.suggestion.startswith(("-", "robotrain "))
        return (Suggestion(error.suggestion if is_command else f"{flag} {shlex.quote(error.suggestion)}"),)
    for other_kind in offered_kinds.values() if can_repeat(source_text.text) else ():
        if other_kind is not kind and other_kind.recognizes_as(role, source_text.text):
            return (Suggestion(f"{other_kind.roles[role].flag} {shlex.quote(source_text.text)}"),)
    kinds = [offered_kinds[name] for name in source_text.kinds if name in offered_kinds] or [kind]
    return tuple(Suggestion(f"{flag} {kind.get_form(role)}", kind.title if len(kinds) > 1 else "") for kind in kinds)


def _find_conflicts(
    source_texts: Sequence[SourceText], role: str, rule: Role, kinds: Mapping[str, SourceKind]
) -> Iterator[Problem]:
    """Yield problems for sources of one layer that cannot be combined."""
    repeated = [] if rule.many else [source_texts]
    for kind in kinds.values() if rule.many else ():
        kind_texts = [source_text for source_text in source_texts if kind.name in source_text.kinds]
        repeated += [] if not kind_texts or kind.roles[role].repeatable else [kind_texts]
    for texts in repeated:
        if len(texts) > 1:
            yield make_problem(
                "source-repeated",
                *_suggest_single_source(texts),
                where=texts[1].origin.where,
                given=texts[1].text,
                role=role,
                flags=" and ".join(dict.fromkeys(redact(source_text.origin.where) for source_text in texts)),
                count=len(texts),
            )
    counts = Counter(source_text.kinds for source_text in source_texts)
    for kind_names, count in counts.items():
        if count > MAX_SOURCES:
            yield make_problem("sources-too-many", most=MAX_SOURCES, kind=kinds[kind_names[0]].title, count=count)


def _suggest_single_source(source_texts: Sequence[SourceText]) -> tuple[Suggestion, ...]:
    """Return the suggestion to keep one source, if all were given by flags."""
    if not all(source_text.origin.where.startswith("-") for source_text in source_texts):
        return ()
    options = (f"{source_text.origin.where} {redact(source_text.text)}" for source_text in source_texts)
    return (suggest_choosing(*options),)


def _find_warnings(inputs: Sequence[Input], kinds: Mapping[str, SourceKind]) -> Iterator[Problem]:
    seen_sources: set[tuple[str, str]] = set()
    for job_input in inputs:
        sentences = list(kinds[job_input.source.kind].warn(job_input.source))
        if (job_input.role, str(job_input.source)) in seen_sources:
            sentences.append("the source is given twice and will be used twice")
        seen_sources.add((job_input.role, str(job_input.source)))
        for sentence in sentences:
            yield make_problem(
                "source-doubtful", where=job_input.origin.where, given=str(job_input.source), title=sentence
            )


def _make_unknown_problem(what: str, name: str, valid_names: Sequence[str], where: str) -> Problem:
    ways = suggest_name(name, valid_names)
    return make_problem(
        "file-unknown-key", *ways, where=where, what=what, name=redact(name), known=", ".join(valid_names)
    )
