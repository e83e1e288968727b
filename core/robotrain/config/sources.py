"""Sources of a job: for each role, the strongest layer that names any gives all of them."""

import dataclasses
import json
import os
import re
import shlex
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from robotrain_runtime.contract.document import JobSource, RoleName

from robotrain.config.request import Request
from robotrain.config.values import DEFAULT_ORIGIN, IMPLIED_ORIGIN, Layer, Origin, SourceText, Value, make_variable_name
from robotrain.config.variables import VariableLayer
from robotrain.errors import (
    Problem,
    Suggestion,
    suggest_choosing,
)
from robotrain.messages import Messages
from robotrain.model.capabilities import Capabilities
from robotrain.model.platform import Platform
from robotrain.model.source import RoleFlag, Source, SourceError, SourceKind
from robotrain.model.workload import Role
from robotrain.nearest_name import correct_folder, suggest_name
from robotrain.redaction import redact, value_holds_secret

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
    uncertain: bool = False
    """As in `JobSource`."""

    @property
    def where(self) -> str:
        """Its place in messages: the flag or the line that gave it."""
        return f"{self.role} ({IMPLIED_ORIGIN})" if self.implied else self.origin.where

    @property
    def job_source(self) -> JobSource:
        """The source as the job and its document have it."""
        role = cast("RoleName", self.role)
        kind, uri = self.source.kind, str(self.source)
        return JobSource(role=role, kind=kind, uri=uri, implied=self.implied, uncertain=self.uncertain)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobInputs:
    """The sources of a job."""

    chosen: tuple[Input, ...]
    overrode: tuple[SourceText, ...]
    """Texts of weaker layers that a stronger one replaced."""
    problems: tuple[Problem, ...]
    unread: frozenset[str] = frozenset()
    """The roles with an invalid source."""


def take_upload_names(
    request: Request, roles: Mapping[str, Role], kinds: Mapping[str, SourceKind], platform: Platform
) -> Request:
    """Return the request with names to upload sources by as settings of the platform (`RoleFlag.upload_setting`)."""
    line, settings = request.line, platform.settings.__annotations__
    for role, rule in roles.items():
        texts = [text for text in line.sources if text.role == role]
        if rule.many or len(texts) != 2:
            continue
        for text in texts:
            flag = kinds[text.kinds[0]].roles.get(role) if len(text.kinds) == 1 and text.kinds[0] in kinds else None
            if flag and flag.upload_setting in settings:
                sources = tuple(source for source in line.sources if source is not text)
                key = f"platforms.{platform.name}.{flag.upload_setting}"
                named = {key: Value(text.text, text.origin), **line.values}
                return dataclasses.replace(request, line=line._replace(sources=sources, values=named))
    return request


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
    chosen: list[Input] = []
    overrode: list[SourceText] = []
    unread: set[str] = set()
    levels = [list(_select_known(layer.sources, kinds, roles, problems)) for layer in layers]
    for role, rule in roles.items():
        level_texts = [texts for level in levels if (texts := [text for text in level if text.role == role])]
        texts = level_texts[0] if level_texts else []
        if not level_texts and role not in request.unread and (default := rule.default(parameters)):
            names = tuple(
                name for name, kind in kinds.items() if role in kind.roles and kind.recognizes_as(role, default)
            )
            texts = [SourceText(role, names, default, DEFAULT_ORIGIN, Path("/"))] if names else []
        if rule.takes_all and parameters.get(rule.takes_all) is not None:
            texts = [_mean_all_checkpoints(text, kinds) for text in texts]
        overrode += [text for level in level_texts[1:] for text in level]
        problems += _find_conflicts(texts, role, rule, kinds)
        for text in texts:
            parsed = parse_source(text, kinds, capabilities)
            if isinstance(parsed, Problem):
                problems.append(parsed)
                unread.add(role)
            else:
                chosen.append(Input(role=role, source=parsed, origin=text.origin, text=text))
                for name in text.kinds:
                    if meaning := kinds[name].describe_meaning(text.text, parsed):
                        problems.append(make_problem("source-found", role=text.role, meaning=redact(meaning)))
    problems += _find_warnings(chosen, kinds)
    return JobInputs(chosen=tuple(chosen), overrode=tuple(overrode), problems=tuple(problems), unread=frozenset(unread))


def _mean_all_checkpoints(text: SourceText, kinds: Mapping[str, SourceKind]) -> SourceText:
    """Return a text that means the newest checkpoint as one that means all of them; any other as it is."""
    candidates = [kinds[name] for name in text.kinds]
    fitting = [kind for kind in candidates if len(candidates) == 1 or kind.recognizes_as(text.role, text.text)]
    suffix = fitting[0].all_checkpoints if fitting else ""
    if not suffix or not text.text.strip() or suffix[0] in text.text:
        return text
    return text._replace(text=f"{text.text.strip()}{suffix}")


def list_source_variables(flag: RoleFlag) -> tuple[str, ...]:
    """Return the environment variables of a source flag, robotrain's own first."""
    return (make_variable_name(flag.flag), *flag.env)


def _select_known(
    sources: Sequence[SourceText],
    kinds: Mapping[str, SourceKind],
    roles: Mapping[str, Role],
    problems: list[Problem],
) -> Iterator[SourceText]:
    for source in sources:
        fitting = [name for name, kind in kinds.items() if source.role in kind.roles]
        if source.role not in roles:
            problems.append(_make_unknown_problem("role", source.role, list(roles), source.origin.where))
        elif source.kinds[0] not in fitting:
            problems.append(_make_unknown_problem("source kind", source.kinds[0], fitting, source.origin.where))
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
    for (role, flag), names in by_flag.items():
        variables = (name for name in list_source_variables(flag) if name in layer.values)
        if (variable := next(variables, None)) is None:
            continue
        value = layer.values[variable]
        revision = layer.find_first(flag.revision_env) if flag.revision_env else None
        for text in _split_list(str(value.value)):
            origin, full = value.origin, text
            if revision and "@" not in text:
                full = f"{text}@{revision.value}"
                origin = origin._replace(where=f"{origin.where}, {revision.origin.where}")
            yield SourceText(role=role, kinds=names, text=full, origin=origin, base=Path.cwd())


def _split_list(text: str) -> Sequence[str]:
    """Return the value of a variable, or the values of a JSON list."""
    if text.lstrip().startswith("["):
        try:
            several = json.loads(text)
        except ValueError:
            return [text]
        if isinstance(several, list) and all(isinstance(part, str) for part in several):
            return several
    return [text]


def parse_source(
    text: SourceText, kinds: Mapping[str, SourceKind], capabilities: Capabilities | None = None
) -> Source | Problem:
    """Return the source that a text stands for, or what is wrong with it.

    :param capabilities: of the platform, if known: a kind that it supports is preferred, and others are not suggested.
    """
    candidates = [kinds[name] for name in text.kinds]
    fitting = [kind for kind in candidates if kind.recognizes_as(text.role, text.text)]
    if not fitting and text.text and os.path.exists(path := os.path.join(text.base, text.text)):  # a relative path
        fitting = [kind for kind in candidates if kind.recognizes_as(text.role, path)]
    supported = [
        kind for kind in fitting if capabilities and capabilities.source(text.role, kind)
    ]  # several may recognize it
    kind = next(iter((*supported, *fitting)), candidates[0])
    titles = kind.title if fitting else " or ".join(candidate.title for candidate in candidates)
    try:
        source = kind.parse_as(text.role, text.text, text.base)
        if text.role not in getattr(kinds.get(source.kind), "roles", ()):  # a parser may return another kind
            raise SourceError(f"It stands for a {source.kind}, which is not installed as a {text.role}.")
        if value_holds_secret(str(source)):  # if its kind did not refuse it
            raise SourceError("It contains what looks like a secret, and jobs are stored and sent unencrypted.")
        return source
    except SourceError as error:
        offered = {name: kind for name, kind in kinds.items() if text.role in kind.roles}
        if capabilities:
            levels = {name: capabilities.source(text.role, kind).level for name, kind in offered.items()}
            offered = {name: kind for name, kind in offered.items() if levels[name] not in ("no", "not_yet")}
        if not fitting and (missing := _find_missing_folder(candidates, text, offered)):
            return missing
        schemes = tuple(scheme for each in kinds.values() for scheme in each.schemes)
        return make_problem(
            "source-invalid.value",
            *_suggest_sources(text, kind, error, offered),
            where=text.origin.where,
            given=redact(text.text, schemes),
            flag=kind.roles[text.role].flag,
            titles=titles,
            why=error.why,
        )


def _find_missing_folder(
    candidates: Sequence[SourceKind], source: SourceText, offered: Container[str]
) -> Problem | None:
    """Return the problem of a text that no kind recognizes, but that is the path of a folder; None for any other.

    :param offered: the names of the kinds to suggest.
    """
    text = source.text
    base = source.base
    path = os.path.join(source.base, source.text)
    kind = next((kind for kind in candidates if kind.recognizes(path)), None)
    if kind is None or not re.fullmatch(r"[^:\s/]+(/[^:\s/]+)*/?", text) or os.path.exists(path):
        return None
    flag, near = kind.roles[source.role].flag, correct_folder(text, base)
    near = near if os.path.isdir(os.path.join(base, near)) else ""
    kinds = sorted(
        (candidate for candidate in candidates if candidate.name in offered),
        key=lambda candidate: candidate is not kind,
    )
    return make_problem(
        "source-invalid.no-folder",
        *(Suggestion(f"{flag} {shlex.quote(near)}"),)
        if near
        else tuple(Suggestion(f"{flag} {candidate.get_form(source.role)}", candidate.title) for candidate in kinds),
        where=source.origin.where,
        given=text,
        flag=flag,
        noun="file or folder" if os.path.splitext(text)[1] else "folder",
        why="" if near else f"A relative path starts from {base}.",
    )


def _suggest_sources(
    text: SourceText, kind: SourceKind, error: SourceError, offered: Mapping[str, SourceKind]
) -> tuple[Suggestion, ...]:
    """Return what to use instead; `offered` are the possible kinds for the role."""
    role_flag = kind.roles[text.role].flag
    path = os.path.join(text.base, text.text)
    origin_flag = text.origin.where if text.origin.where.startswith("-") else ""

    def suggest(option: str) -> Suggestion:
        return Suggestion(option, replaces=origin_flag if option.startswith("-") else "")

    if text.text and os.path.isdir(path):
        for other in offered.values():
            if other is not kind and other.recognizes(path):
                shown = text.text if text.base == Path.cwd() else path
                return (suggest(f"{other.roles[text.role].flag} {shlex.quote(shown)}"),)
    if error.suggestion:
        is_command = error.suggestion.startswith(("-", "robotrain "))
        return (suggest(error.suggestion if is_command else f"{role_flag} {shlex.quote(error.suggestion)}"),)
    for other in offered.values():
        if other is not kind and other.recognizes(text.text):
            try:
                value = str(other.parse(text.text, text.base))
                return (suggest(f"{other.roles[text.role].flag} {shlex.quote(value)}"),)
            except SourceError:
                return (suggest(f"{other.roles[text.role].flag} {other.get_form(text.role)}"),)
    sharing = [offered[name] for name in text.kinds if name in offered] or [kind]
    return tuple(
        Suggestion(f"{role_flag} {kind.get_form(text.role)}", kind.title if len(sharing) > 1 else "")
        for kind in sharing
    )


def _find_conflicts(
    texts: Sequence[SourceText], role: str, rule: Role, kinds: Mapping[str, SourceKind]
) -> Iterator[Problem]:
    """Yield problems for sources of one layer that cannot be combined."""
    for kind in kinds.values():
        if role not in kind.roles:
            continue
        kind_texts = [text for text in texts if kind.name in text.kinds]
        if len(kind_texts) > 1 and not kind.roles[role].repeatable:
            ways = _suggest_single_sources(kind_texts) if rule.many else ()  # otherwise suggested below
            flag, where = kind.roles[role].flag, kind_texts[1].origin.where
            yield make_problem("source-repeated.flag", *ways, where=where, given=kind_texts[1].text, flag=flag)
    if len(texts) > 1 and not rule.many:
        flags = list(dict.fromkeys(redact(text.origin.where) for text in texts))
        yield make_problem(
            "source-repeated.role",
            *_suggest_single_sources(texts),
            where=texts[1].origin.where,
            given=texts[1].text,
            role=role,
            flags=" and ".join(flags),
            count=len(texts),
        )
    for typed in dict.fromkeys(text.kinds for text in texts):
        kind_texts = [text for text in texts if text.kinds == typed]
        if len(kind_texts) > MAX_SOURCES:
            where, text, kind_title = (
                kind_texts[MAX_SOURCES].origin.where,
                kind_texts[MAX_SOURCES].text,
                kinds[typed[0]].title,
            )
            count = len(kind_texts)
            yield make_problem(
                "sources-too-many", where=where, given=text, most=MAX_SOURCES, kind=kind_title, count=count
            )


def _suggest_single_sources(texts: Sequence[SourceText]) -> tuple[Suggestion, ...]:
    """Return the suggestion to keep one source, if all were given by flags."""
    if not all(text.origin.where.startswith("-") for text in texts):
        return ()
    return (suggest_choosing(*(f"{text.origin.where} {redact(text.text)}" for text in texts)),)


def _find_warnings(inputs: Sequence[Input], kinds: Mapping[str, SourceKind]) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for item in inputs:
        sentences = list(kinds[item.source.kind].warn(item.source))
        if (item.role, str(item.source)) in seen:
            sentences.append("the source is given twice and will be used twice")
        seen.add((item.role, str(item.source)))
        for sentence in sentences:
            yield make_problem("source-doubtful", where=item.origin.where, given=str(item.source), title=sentence)


def _make_unknown_problem(what: str, name: str, valid_names: Sequence[str], where: str) -> Problem:
    ways = suggest_name(name, valid_names) or tuple(
        Suggestion(other) for other in valid_names if other.endswith(f"_{name}")
    )
    return make_problem(
        "file-unknown-key.input", *ways, where=where, what=what, name=redact(name), known=", ".join(valid_names)
    )
