"""`--set KEY=VALUE`: single values of a job, named as in a job file, on the level of flags."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence

from robotrain_runtime.parameter import parameters_of

from robotrain.nearest import offer
from robotrain.platforms import Platform
from robotrain.problem import Instead, Problem, Stage
from robotrain.provenance import Origin, Value
from robotrain.redaction import redact
from robotrain.request import Request, SourceText
from robotrain.resolve import field_of
from robotrain.source import SourceKind
from robotrain.workload import Workload

FLAG = "--set"
FORM = f"{FLAG} KEY=VALUE"
ARGUMENTS = "trainer_args"


def apply(
    request: Request,
    texts: Sequence[str],
    workload: Workload,
    platform: Platform,
    kinds: Mapping[str, SourceKind] | None = None,
) -> tuple[Request, list[Problem]]:
    """The request with every `KEY=VALUE` of `texts` in it, and what is wrong with them.

    KEY is `batch_size` or `parameters.batch_size`, `runs_dir` or `platforms.NAME.runs_dir`, `sources.ROLE.KIND` (again
    for each further source; they replace all of the role below), or `trainer_args` with a JSON list. VALUE is a text,
    coerced later as the flag's would be; an empty one counts as unset. A field that `request` has by flag already is
    a problem. kinds: needed for sources alone.
    """
    applying = _Overrides(request, workload, platform, kinds or {})
    for text in texts:
        applying.take(text)
    return applying.result(), applying.problems


def keys(workload: Workload | None, platform: Platform | None, kinds: Mapping[str, SourceKind]) -> Iterator[str]:
    """Every key there is, the shortest spelling of each first: fields, sources, then the fields in full."""
    tables = [("parameters", workload.parameters)] if workload else []
    tables += [(f"platforms.{platform.name}", platform.settings)] if platform else []
    fields = [(table, parameter.name) for table, declared in tables for parameter in parameters_of(declared)]
    several = [name for _, name in fields]
    yield from (name for name in several if several.count(name) == 1)
    for role in workload.roles if workload else ():
        yield from (f"sources.{role}.{kind.name}" for kind in kinds.values() if role in kind.roles)
    yield ARGUMENTS
    yield from (f"{table}.{name}" for table, name in fields)


def choices(key: str, workload: Workload | None, platform: Platform | None) -> tuple[str, ...]:
    """The values that a key has a choice of; empty for any other."""
    for declared in (workload.parameters if workload else None, platform.settings if platform else None):
        for parameter in parameters_of(declared) if declared else ():
            if parameter.name == key.rpartition(".")[2]:
                return ("true", "false") if parameter.switch else parameter.choices
    return ()


class _Overrides:
    """Takes texts one by one, gathering values and problems."""

    def __init__(
        self, request: Request, workload: Workload, platform: Platform, kinds: Mapping[str, SourceKind]
    ) -> None:
        self.request = request
        self.workload = workload
        self.platform = platform
        self.kinds = kinds
        self.parameters: dict[str, Value] = {}
        self.settings: dict[str, Value] = {}
        self.sources: list[SourceText] = []
        self.arguments: tuple[Value, ...] | None = None
        self.problems: list[Problem] = []

    def result(self) -> Request:
        """The request with everything that was taken."""
        return dataclasses.replace(
            self.request,
            parameters={**self.request.parameters, **self.parameters},
            settings={**self.request.settings, **self.settings},
            sources=(*self.request.sources, *self.sources),
            trainer_args=self.request.trainer_args if self.arguments is None else self.arguments,
        )

    def take(self, text: str) -> None:
        """One `KEY=VALUE`."""
        key, equals, value = text.partition("=")
        key = key.strip()
        table, _, name = key.rpartition(".")
        if not equals or not key:
            self.wrong("set-malformed", f"{FLAG} takes a key, `=` and a value", key, ways=(Instead(FORM),))
        elif key == ARGUMENTS:
            self.take_arguments(key, value)
        elif table.startswith("sources."):
            self.take_source(key, table.partition(".")[2], name, value)
        elif table in ("", "parameters", f"platforms.{self.platform.name}"):
            self.take_field(key, table, name, value)
        else:
            self.unknown(key)

    def take_field(self, key: str, table: str, name: str, text: str) -> None:
        places = {
            "parameters": (self.workload.parameters, self.request.parameters, self.parameters),
            f"platforms.{self.platform.name}": (self.platform.settings, self.request.settings, self.settings),
        }
        fitting = [
            at
            for at, (declared, _, _) in places.items()
            if table in ("", at) and any(parameter.name == name for parameter in parameters_of(declared))
        ]
        if len(fitting) > 1:
            ways = tuple(Instead(f"{FLAG} {at}.{name}=…") for at in fitting)
            self.wrong(
                "set-ambiguous", f"{name} is a parameter of the workload and a setting of the platform", key, ways
            )
            return
        if not fitting:
            self.unknown(key)
            return
        _, by_flag, taken = places[fitting[0]]
        if name in by_flag and by_flag[name].value != "":
            self.twice(by_flag[name].origin.where, key)
        elif name in taken:
            self.twice(taken[name].origin.where, key)
        else:
            taken[name] = Value(text, _said(key))

    def take_source(self, key: str, role: str, kind: str, text: str) -> None:
        known = self.kinds.get(kind)
        if role not in self.workload.roles or known is None or role not in known.roles:
            self.unknown(key)
        elif by_flag := next((one for one in self.request.sources if one.role == role), None):
            self.twice(by_flag.origin.where, key)
        else:
            origin, base = _said(key), self.request.folder
            self.sources.append(SourceText(role=role, kinds=(kind,), text=text, origin=origin, base=base))

    def take_arguments(self, key: str, text: str) -> None:
        try:
            several = json.loads(text)
        except ValueError:
            several = None
        if not isinstance(several, list) or not all(isinstance(one, str) for one in several):
            ways = (Instead("-- --NAME=VALUE …"), Instead(f"{FLAG} '{key}=[\"--NAME=VALUE\"]'"))
            self.wrong("set-malformed", f"{FLAG} {key} takes a JSON list of texts", key, ways)
        elif self.request.trainer_args is not None:
            self.twice("--", key)
        elif self.arguments is not None:
            self.twice(f"{FLAG} {key}", key)
        else:
            self.arguments = tuple(Value(one, _said(key)) for one in several)

    def twice(self, where: str, key: str) -> None:
        self.wrong("options-conflict", f"{where} and {FLAG} {redact(key)} contradict each other", key)

    def unknown(self, key: str) -> None:
        """A key that nothing has: the nearest one, or why there can be none."""
        known = list(keys(self.workload, self.platform, self.kinds))
        first, _, rest = key.partition(".")
        code, title = "set-unknown-key", f"there is nothing called {redact(key)!r} to set"
        why, ways = "", offer(self._field(key) or key, known, before=f"{FLAG} ")
        if key in ("workload", "platform", "profile"):
            why = "It decides what there is to set, and is named on the command line by itself."
            ways = (Instead("robotrain … WORKLOAD" if key == "workload" else f"--{key} NAME"),)
        elif first == "platforms" and rest.partition(".")[0] != self.platform.name:
            why = f"The job goes to {self.platform.name}, and only its settings can be set."
        elif first == "sources":
            fitting = [one for one in known if one.startswith(f"sources.{rest.partition('.')[0]}.")]
            ways = tuple(Instead(f"{FLAG} {one}=…") for one in fitting) if rest.count(".") == 0 and fitting else ways
        self.wrong(code, title, key, ways, why)

    def _field(self, key: str) -> str | None:
        table, _, name = key.rpartition(".")
        for declared in (self.workload.parameters, self.platform.settings):
            if found := field_of(name, declared):
                return f"{table}.{found}" if table else found
        return None

    def wrong(self, code: str, title: str, key: str, ways: tuple[Instead, ...] = (), why: str = "") -> None:
        where = f"{FLAG} {redact(key)}"
        self.problems.append(Problem(code=code, stage=Stage.USAGE, title=title, where=where, why=why, instead=ways))


def _said(key: str) -> Origin:
    return Origin("flag", f"{FLAG} {key}")
