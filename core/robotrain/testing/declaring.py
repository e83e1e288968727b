"""What a platform declares of workloads, features and limits is what it does; its settings can be typed."""

import dataclasses
import re
from collections.abc import Iterator

import pytest
from robotrain_runtime.parameter import parameters_of

from robotrain.capabilities import FEATURES, LIMITS
from robotrain.redaction import holds_secret
from robotrain.testing.bench import Bench
from robotrain.testing.on_a_bench import OnABench
from robotrain.testing.verdict import nothing_in

SECRET = r"(?i)(?<![a-z])(api_?key|access_?key|account_?key|token|secret|password|passwd|passphrase|sas)(?![a-z])"
NAMES_ONE = r"(?i)_(file|name|id|credential)$|^(credential|file|name)_"
"""A name that ends so says where a secret is, and is none."""


class Declaring(OnABench):
    """Capabilities beside source kinds, and the settings."""

    def test_a_workload_runs_as_declared(self, bench: Bench) -> None:
        """One with a yes arrives with its halves; any other is refused (exit code 3) by name."""
        nothing_in(_wrong_workloads(bench))

    def test_a_feature_is_there_as_declared(self, bench: Bench) -> None:
        """A parameter that needs a feature is taken where that is a yes, and refused (exit code 3) everywhere else."""
        bench.needs_own_workload()
        nothing_in(_wrong_features(bench))

    def test_a_limit_is_kept(self, bench: Bench) -> None:
        """A job at the limit is taken; one with a source more is refused before the engine refuses it."""
        limits = bench.platform.capabilities.limits
        assert set(limits) <= set(LIMITS)
        assert all(isinstance(limit, int) and limit > 0 for limit in limits.values())
        nothing_in(_wrong_limits(bench, limits.get("sources"), limits.get("spec_kib")))

    def test_every_no_has_a_reason(self, bench: Bench) -> None:
        """A person who is refused is told why."""
        can = bench.platform.capabilities
        groups = (can.sources, can.combinations, can.workloads, can.features)
        silent = [what for group in groups for what, one in group.items() if not one and not one.reason]
        assert silent == []

    def test_a_yes_is_for_something_that_exists(self, bench: Bench) -> None:
        """A role that the kind does not fill cannot be typed by anybody: the yes would be one of the table alone."""
        can = bench.platform.capabilities
        said = [(role, bench.kinds[kind]) for (role, kind), one in can.sources.items() if one and kind in bench.kinds]
        untrue = [
            (role, kind.name)
            for role, kind in said
            if not (kind.target or kind.carried if role == "publish" else role in kind.roles)
        ]
        assert untrue == []

    def test_settings_are_declared_as_they_are_to_be(self, bench: Bench) -> None:
        """A frozen dataclass of parameters, each with its help; none asks for a secret, or holds one: they are kept in
        plans and records.
        """
        settings = bench.platform.settings
        assert dataclasses.is_dataclass(settings)
        assert settings.__dataclass_params__.frozen  # type: ignore[attr-defined]
        declared = {one.name: one for one in parameters_of(settings)}
        assert set(declared) == {field.name for field in dataclasses.fields(settings)}, "each with a Param"
        assert [name for name, one in declared.items() if not one.param.help] == [], "without a help text"
        texts = [name for name, one in declared.items() if one.bare is str]
        asking = [name for name in texts if re.search(SECRET, name) and not re.search(NAMES_ONE, name)]
        assert asking == [], "ask for a secret: name the file, or what holds it"
        assert [name for name, one in declared.items() if holds_secret(str(one.default))] == []

    def test_every_setting_has_its_flag_to_itself(self, bench: Bench) -> None:
        """No flag and no environment name is taken by robotrain, the workload or a source kind already."""
        answer = bench.render(*bench.first_source())
        assert [one["title"] for one in answer.problems if one["code"] in ("options-clash", "names-clash")] == []
        help = bench.ask("submit", "--help").stdout
        flags = [one.flag for one in parameters_of(bench.platform.settings)]
        assert [flag for flag in flags if not re.search(rf"{flag}(?![\w-])", help)] == [], "not among the options"

    def test_what_is_declined_is_told(self, bench: Bench) -> None:
        """Options of other tools that people try here: each a flag that is none of its own, with what to say."""
        own = {flag for one in parameters_of(bench.platform.settings) for flag in one.flags}
        assert [flag for flag in bench.platform.declined if not flag.startswith("-") or flag in own] == []
        assert [flag for flag, words in bench.platform.declined.items() if not words.strip()] == []


def _wrong_workloads(bench: Bench) -> Iterator[str]:
    for name, workload in bench.plugins.workloads().items():
        support = bench.platform.capabilities.workload(name)
        try:
            answer = bench.render(workload=workload)
        except pytest.skip.Exception:  # what it needs, the platform takes from no kind
            continue
        if support:
            if answer.exit_code != 0 or f"workload.{name}" not in bench.arrived(answer).halves:
                yield f"{name}, declared yes: {answer.told}"
        elif answer.exit_code != 3 or bench.name not in answer.told or name not in answer.told:
            yield f"{name}, declared {support.level}: {answer.told}"


def _wrong_features(bench: Bench) -> Iterator[str]:
    """All that are there in one job, and all that are not in another."""
    flags = {name: f"--kit-needs-{name.replace('_', '-')}" for name in FEATURES}
    named = [name for name in flags if bench.platform.capabilities.feature(name)]
    there = [flags[name] for name in named]
    answer = bench.render(*there, *(word for name in named for word in bench.world.needs.get(name, ())))
    if answer.exit_code != 0:
        yield f"declared yes: {answer.told}"
    missing = {name: flag for name, flag in flags.items() if flag not in there}
    if not missing:
        return
    answer = bench.render(*missing.values())
    if answer.exit_code != 3:
        yield f"declared anything but yes: exit code {answer.exit_code}: {answer.told}"
    refused = {one["where"] for one in answer.problems if bench.name in one["title"]}
    yield from (f"{name} is not declared, and not refused" for name, flag in missing.items() if flag not in refused)


def _wrong_limits(bench: Bench, sources: int | None, spec: int | None) -> Iterator[str]:
    if sources and getattr(bench.workload.roles.get("dataset"), "many", False):
        word = _repeatable(bench)
        if (answer := bench.render(*word * sources)).exit_code != 0:
            yield f"{sources} sources, which is the limit, are refused: {answer.told}"
        if bench.render(*word * (sources + 1)).exit_code not in (2, 3):
            yield f"{sources + 1} sources are taken, and the limit is {sources}"
    if spec and (kib := _kib(bench, *bench.complete)) > spec:
        yield f"the spec of the smallest job has {kib} KiB, and the limit is {spec}"


def _repeatable(bench: Bench) -> list[str]:
    """The words of a dataset that can be one of several."""
    for kind in bench.platform.capabilities.accepted("dataset", bench.kinds):
        if kind.roles["dataset"].repeatable and (text := bench.text(kind)):
            return [f"{kind.roles['dataset'].flag}={text}"]
    pytest.skip(f"{bench.name} takes no dataset of a kind that can be given twice")


def _kib(bench: Bench, *words: object) -> float:
    """What the native spec of a job comes to."""
    answer = bench.render(*words)
    assert answer.exit_code == 0, answer.told
    plan = bench.plans[-1]
    return len(plan.files[plan.spec]) / 1024
