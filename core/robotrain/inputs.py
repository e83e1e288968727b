"""From typed texts to typed sources: one level of origin wins a role whole, and only within it can inputs conflict."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from robotrain_runtime import document

from robotrain.nearest import offer
from robotrain.problem import Instead, Problem, Stage
from robotrain.provenance import Origin, own_name
from robotrain.redaction import holds_secret, redact
from robotrain.request import Request, SourceText
from robotrain.source import RoleFlag, Source, SourceError, SourceKind
from robotrain.workload import Role

if TYPE_CHECKING:
    from robotrain.capabilities import Capabilities
    from robotrain.job_file import JobFile

MOST = 64
"""Sources in one role; more is a mistake of a script (contract C.1 and C.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A parsed source in its role, and where it was said."""

    role: str
    source: Source
    origin: Origin

    @property
    def document(self) -> document.Source:
        """As the job and its document hold it."""
        return document.Source(role=cast("document.Role", self.role), kind=self.source.kind, uri=str(self.source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The sources of a job. overrode: texts of weaker levels that a stronger one replaced. unread: roles for which
    something was given that names no source.
    """

    chosen: tuple[Input, ...]
    overrode: tuple[SourceText, ...]
    problems: tuple[Problem, ...]
    unread: frozenset[str] = frozenset()


def gather(
    request: Request, roles: Mapping[str, Role], kinds: Mapping[str, SourceKind], can: Capabilities | None = None
) -> Inputs:
    """Every role's sources, from the strongest level that names any. can: what the platform takes, where it is known:
    kinds that it refuses are not offered.
    """
    problems: list[Problem] = []
    chosen: list[Input] = []
    overrode: list[SourceText] = []
    unread: set[str] = set()
    levels = [
        list(request.sources),
        list(_of_file(request.file, kinds, roles, problems)),
        *_of_names(request, roles, kinds),
    ]
    for role, rule in roles.items():
        said = [texts for level in levels if (texts := [text for text in level if text.role == role])]
        texts = said[0] if said else []
        overrode += [text for level in said[1:] for text in level]
        problems += _conflicts(texts, role, rule, kinds)
        for text in texts:
            parsed = _parse(text, kinds, can)
            if isinstance(parsed, Problem):
                problems.append(parsed)
                unread.add(role)
            else:
                chosen.append(Input(role=role, source=parsed, origin=text.origin))
                problems += _meant(text, parsed, kinds)
    problems += _warnings(chosen, kinds)
    return Inputs(chosen=tuple(chosen), overrode=tuple(overrode), problems=tuple(problems), unread=frozenset(unread))


def env_names(flag: RoleFlag) -> tuple[str, ...]:
    """The environment names of a source flag, robotrain's own first."""
    return (own_name(flag.flag), *flag.env)


def _of_file(
    file: JobFile | None, kinds: Mapping[str, SourceKind], roles: Mapping[str, Role], problems: list[Problem]
) -> Iterator[SourceText]:
    if file is None:
        return
    for source in file.sources:
        fitting = [name for name, kind in kinds.items() if source.role in kind.roles]
        if source.role not in roles:
            problems.append(_unknown("role", source.role, list(roles), source.where))
        elif source.kind not in fitting:
            problems.append(_unknown("source kind", source.kind, fitting, source.where))
        else:
            of = (source.kind,)
            yield SourceText(role=source.role, kinds=of, text=source.text, origin=source.origin, base=file.folder)


def _of_names(
    request: Request, roles: Mapping[str, Role], kinds: Mapping[str, SourceKind]
) -> Iterator[list[SourceText]]:
    for layer in request.names:
        texts = []
        for role in roles:
            for flag, names in _by_flag(kinds, role).items():
                if (value := layer.first(env_names(flag))) is None:
                    continue
                for text in _listed(str(value.value)):
                    one = SourceText(role=role, kinds=names, text=text, origin=value.origin, base=request.folder)
                    texts.append(one)
        yield texts


def _by_flag(kinds: Mapping[str, SourceKind], role: str) -> dict[RoleFlag, tuple[str, ...]]:
    found: dict[RoleFlag, tuple[str, ...]] = {}
    for name, kind in kinds.items():
        if role in kind.roles:
            found[kind.roles[role]] = (*found.get(kind.roles[role], ()), name)
    return found


def _listed(text: str) -> Sequence[str]:
    """One value, or those of a JSON list: how the reference's `BLOB_URLS` holds several."""
    if text.lstrip().startswith("["):
        try:
            several = json.loads(text)
        except ValueError:
            return [text]
        if isinstance(several, list) and all(isinstance(part, str) for part in several):
            return several
    return [text]


def _parse(text: SourceText, kinds: Mapping[str, SourceKind], can: Capabilities | None) -> Source | Problem:
    candidates = [kinds[name] for name in text.kinds]
    fitting = [kind for kind in candidates if kind.recognises(text.text)]
    taken = [kind for kind in fitting if can and can.source(text.role, kind)]  # two may read such an address
    kind = next(iter((*taken, *fitting)), candidates[0])
    meant = kind.title if fitting else " or ".join(one.title for one in candidates)
    try:
        source = kind.parse(text.text, text.base)
        if text.role not in getattr(kinds.get(source.kind), "roles", ()):  # a kind may answer with one of another kind
            raise SourceError(f"It stands for a {source.kind}, and no such {text.role} is installed here.")
        if holds_secret(str(source)):  # of a kind that does not see to it
            raise SourceError("It holds what looks like a secret, and a job is kept and sent in the clear.")
        return source
    except SourceError as error:
        return Problem(
            code=f"{kind.name.replace('_', '-')}-invalid",
            stage=Stage.PARSE,
            title=f"{kind.roles[text.role].flag} takes {meant}, and this is none that can be used",
            where=text.origin.where,
            given=redact(text.text, _schemes(kinds)),
            why=error.why,
            instead=_ways_out(text, kind, error, _offered(text.role, kinds, can)),
        )


def _meant(text: SourceText, source: Source, kinds: Mapping[str, SourceKind]) -> Iterator[Problem]:
    """What was looked up is told, so that nobody has to guess."""
    for name in text.kinds:
        if said := kinds[name].meant(text.text, source):
            title = f"{text.role}: {redact(said)}"
            yield Problem(code="source-found", stage=Stage.PARSE, severity="note", title=title)


def _schemes(kinds: Mapping[str, SourceKind]) -> tuple[str, ...]:
    return tuple(scheme for kind in kinds.values() for scheme in kind.schemes)


def _ways_out(
    text: SourceText, kind: SourceKind, error: SourceError, offered: Mapping[str, SourceKind]
) -> tuple[Instead, ...]:
    """What to type instead. offered: the kinds that could take the text in its role."""
    own = kind.roles[text.role].flag
    if error.instead:
        whole = error.instead.startswith(("-", "robotrain "))
        return (Instead(error.instead if whole else f"{own} {error.instead}"),)
    for other in offered.values():
        if other is not kind and other.recognises(text.text):
            try:
                return (Instead(f"{other.roles[text.role].flag} {other.parse(text.text, text.base)}"),)
            except SourceError:
                return (Instead(f"{other.roles[text.role].flag} {other.form}"),)
    sharing = [offered[name] for name in text.kinds if name in offered] or [kind]
    return tuple(Instead(f"{own} {one.form}", one.title if len(sharing) > 1 else "") for one in sharing)


def _offered(role: str, kinds: Mapping[str, SourceKind], can: Capabilities | None) -> dict[str, SourceKind]:
    """The kinds for a role, without those that the platform says no to."""
    refused = [name for name, kind in kinds.items() if can and can.source(role, kind).level in ("no", "not_yet")]
    return {name: kind for name, kind in kinds.items() if role in kind.roles and name not in refused}


def _conflicts(
    texts: Sequence[SourceText], role: str, rule: Role, kinds: Mapping[str, SourceKind]
) -> Iterator[Problem]:
    """What cannot stand together within one level."""
    for kind in kinds.values():
        if role not in kind.roles:
            continue
        own = [text for text in texts if kind.name in text.kinds]
        if len(own) > 1 and not kind.roles[role].repeatable:
            ways = _each_alone(own) if rule.many else ()  # else they are told below
            yield _usage("source-repeated", f"{kind.roles[role].flag} can be given once", own[1], instead=ways)
        if own and kind.roles[role].alone and len(own) < len(texts):
            other = next(text for text in texts if kind.name not in text.kinds)
            title = f"{own[0].origin.where} and {other.origin.where} both name the {role}"
            beside = kind.roles[role].beside
            ways = (Instead(beside, f"as the local name beside {other.origin.where}"),) if beside else ()
            ways += _each_alone((own[0], other))
            yield _usage("sources-conflict", title, own[0], why=f"{kind.title} stand alone in a job.", instead=ways)
    if len(texts) > 1 and not rule.many:
        flags = list(dict.fromkeys(redact(text.origin.where) for text in texts))
        title = f"this workload takes one {role}, and {' and '.join(flags)} name {len(texts)}"
        yield _usage("source-repeated", title, texts[1], instead=_each_alone(texts))
    for typed in dict.fromkeys(text.kinds for text in texts):
        own = [text for text in texts if text.kinds == typed]
        if len(own) > MOST:
            title = f"a job takes at most {MOST} {kinds[typed[0]].title}; this one names {len(own)}"
            yield _usage("sources-too-many", title, own[MOST])


def _each_alone(texts: Sequence[SourceText]) -> tuple[Instead, ...]:
    """One of them, where all were typed as flags."""
    if not all(text.origin.where.startswith("-") for text in texts):
        return ()
    return tuple(Instead(f"{text.origin.where} {redact(text.text)}", "alone") for text in texts)


def _warnings(inputs: Sequence[Input], kinds: Mapping[str, SourceKind]) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for one in inputs:
        sentences = list(kinds[one.source.kind].warn(one.source))
        if (one.role, str(one.source)) in seen:
            sentences.append("it is given twice, and would be used twice")
        seen.add((one.role, str(one.source)))
        for sentence in sentences:
            yield Problem(
                code="source-doubtful",
                stage=Stage.PARSE,
                severity="warning",
                title=sentence,
                where=one.origin.where,
                given=str(one.source),
            )


def _usage(code: str, title: str, text: SourceText, why: str = "", instead: tuple[Instead, ...] = ()) -> Problem:
    return Problem(
        code=code,
        stage=Stage.USAGE,
        title=title,
        where=text.origin.where,
        given=redact(text.text),
        why=why,
        instead=instead,
    )


def _unknown(what: str, name: str, known: Sequence[str], where: str) -> Problem:
    return Problem(
        code="job-file-unknown-key",
        stage=Stage.PARSE,
        title=f"no {what} is called {redact(name)!r}",
        where=where,
        why=f"Known: {', '.join(known)}.",
        instead=offer(name, known),
    )
