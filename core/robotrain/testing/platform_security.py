"""Tests of a platform: hostile texts are never interpreted, secrets are never stored or shown."""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pytest
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check import capability_checks
from robotrain.store import records
from robotrain.testing.bench import Bench, PlatformTestBase
from robotrain.testing.harness import CommandResult, compare, report
from robotrain.testing.kit_base import SAMPLE_KIND

HOSTILE_TEXTS: Mapping[str, Sequence[str]] = {
    "templates": (
        *("{{ 7 * 7 }}", "{% for one in range(9) %}x{% endfor %}", "a{# gone #}b", "%(name)s %s %d %%"),
        *("{{ '{{' }} {% raw %}{{ x }}{% endraw %}", "${{ inputs.data }} $[[ x ]] ${{parent.jobs}}"),
        *("{0} {name!r} {}", "<% x %> <%= y %> #{z}"),
    ),
    "shells": (
        *("$(touch kit-was-here)", "`touch kit-was-here`", "$HOME ${HOME} $$ $? !!", "* ? [a-z] ~ ~root"),
        "a; touch kit-was-here && b || c | d & e > f < g",
        *("it's 'quoted' '", 'say "hello" "', "a\\b\\n\\\\ \\x41 \\u0041 \\"),
    ),
    "yaml": (
        *("key: value # comment", "!!python/object/apply:os.system ['touch kit-was-here']", "&a b *a"),
        *("yes", "null", "0x10", "1e3", "2024-01-01", '{"run": "another", "$schema": null}'),
    ),
    "lines": (
        *("one\ntwo\n\nfour\n", "a\n---\n- &a b\n- *a\n...", "a\tb\t", "  before and after  "),
        *("EOF\nEOF\n", "two\n  lines: {{ x }}\n"),
    ),
    "dashes": ("--platform=elsewhere", "-x"),
    "letters": (
        *("größe 機器人 🤖 e\u0301 \u00a0|\u2003|\ufeff", "a%20b%2Fc%00d", "../../etc/passwd"),
        *("<a href='x'>&amp;</a><!-- -->", "\u202eright to left\u202c \u200b", "long " * 2000),
    ),
}
HOSTILE_SETTINGS: Mapping[str, str] = {
    "template": "{{ 7 * 7 }}",
    "shell": '$(id)`id`;"',
    "yaml": "!!python/none x: # y",
}
CANARY = "kitCanary0fSecret5"
SECRET_NAMES = (
    *("HF_TOKEN", "WANDB_API_KEY", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "GITHUB_TOKEN"),
    *("DOCKER_PASSWORD", "DATABASE_URL", "ACME_PASSWORD", "KIT_API_KEY", "KIT_SECRET"),
)
"""Variables of secrets that no engine signs in with: one that it reads would break the engine's own commands."""
ENGINE_SECRET_NAMES = (
    *("AZURE_CLIENT_SECRET", "AZURE_STORAGE_KEY", "AZURE_STORAGE_CONNECTION_STRING", "AWS_SECRET_ACCESS_KEY"),
    *("AWS_SESSION_TOKEN", "NGC_API_KEY", "SLURM_JWT"),
)
"""Variables that an engine may sign in with: they are set only while a plan is rendered, which asks no engine."""


TypedText = tuple[str, str]
"""An option and its text; the option is empty for an argument of the trainer."""


class SecurityTests(PlatformTestBase):
    """Texts that have a meaning for a program on the way, and secrets of the environment."""

    @pytest.mark.parametrize("theme", HOSTILE_TEXTS)
    def test_hostile_text_is_unchanged_or_rejected(self, bench: Bench, theme: str) -> Iterator[str]:
        """A parameter, a source or an argument of the trainer arrives unchanged, or is rejected (exit code 2 or 3)."""
        bench.require_sample_workload()
        for typed in _make_command_lines(bench, HOSTILE_TEXTS[theme]):
            if _render_texts(bench, typed).exit_code:
                typed = [one for one in typed if not _render_texts(bench, [one]).exit_code]
                _render_texts(bench, typed).require("texts that are accepted alone are rejected together")
            yield from _find_changed_texts(bench.world.read_document(bench.plans[-1]), typed)

    @pytest.mark.parametrize("text", HOSTILE_SETTINGS.values(), ids=HOSTILE_SETTINGS)
    def test_hostile_setting_changes_nothing_else(self, bench: Bench, text: str) -> Iterator[str]:
        """A text setting does not change the document but for where the job runs, or it is rejected by its flag."""
        given = {str(word).partition("=")[0] for word in bench.world.options}
        texts = [one for one in get_parameters(bench.platform.settings) if one.bare_type is str and not one.choices]
        flags = [one.flag for one in texts if not given & {*one.flags}]
        while flags:
            result = bench.render(*bench.first_source(), *(f"{flag}={text}" for flag in flags))
            result.require(f"settings with the text {text} must be accepted or rejected", 0, 2, 3)
            if result.exit_code == 0:
                found, job = bench.world.read_document(bench.plans[-1]), bench.plans[-1].job
                expected = (job.run_name(1), job.digest, dict(job.parameters), job.sources, job.trainer_args)
                arrived = (found.run, found.job, found.parameters, found.sources, found.trainer_args)
                yield from compare(f"the text {text} of a setting changes the document", arrived, expected)
                return
            named = [flag for flag in flags if flag in str(result.errors)]
            if not named:
                yield f"a setting is rejected without its flag: {result.output}"
                return
            flags = [flag for flag in flags if flag not in named]

    def test_plan_holds_no_secret_of_the_environment(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[str]:
        """A plan is stored, shown and sent: it holds the name of a secret at most."""
        own = re.sub(r"\W", "_", bench.name).upper()
        own_names = (f"{own}_{word}" for word in ("TOKEN", "SECRET", "PASSWORD", "API_KEY"))
        for name in (*SECRET_NAMES, *ENGINE_SECRET_NAMES, *own_names):
            monkeypatch.setenv(name, CANARY)
        plan = bench.render_plan()
        arrived = document.format_document(bench.world.read_document(plan)).encode()
        leaking = [path for path, content in {**plan.files, "the document": arrived}.items() if _has_canary(content)]
        yield from report("these of the plan hold the value of a secret; name its variable instead", leaking)
        explained = bench.run_command("explain", *bench.complete_words())
        if CANARY in explained.output:
            yield "`explain` prints a secret: its value is in what `derive_defaults` or `defaults` returns"

    def test_run_record_holds_no_secret_of_the_environment(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[str]:
        """Neither the record nor the output has it; the variables that the world signs in with stay as they are."""
        for name in SECRET_NAMES:
            monkeypatch.setenv(name, CANARY)
        submitted = bench.submit("--json").require("the job must be submitted")
        outputs = {name: bench.run_for(name, submitted.json["run"]).output for name in ("status", "logs")}
        printing = (name for name, text in {"submit": submitted.output, **outputs}.items() if CANARY in text)
        yield from report("these commands print the value of a secret; leave it out of what is shown", printing)
        files = [path for path in sorted(records.get_runs_folder().rglob("*")) if path.is_file()]
        leaking = (f"{path}: {path.read_text()}" for path in files if _has_canary(path.read_bytes()))
        yield from report("files of the record hold the value of a secret; leave it out of the reference", leaking)


def _make_command_lines(bench: Bench, texts: Sequence[str]) -> Iterator[list[TypedText]]:
    """Yield jobs with each text in each place: one, and more if it had more datasets than the platform accepts."""
    kind, can = bench.kinds[SAMPLE_KIND], bench.can
    most = capability_checks.get_source_limit(can) if can.combination(kind.name, kind.name) else 1
    names = [text for text in texts if can.source("dataset", kind) and not any(ord(letter) < 0x20 for letter in text)]
    datasets = [(kind.roles["dataset"].flag, text) for text in names]
    parameters = [(f"--kit-text-{number}", text) for number, text in enumerate(texts, 1)]
    yield [*parameters, *datasets[:most], *(("", one) for text in texts for one in (text, f"--name={text}"))]
    yield from (datasets[at : at + most] for at in range(most, len(datasets), most))


def _render_texts(bench: Bench, typed: Iterable[TypedText]) -> CommandResult:
    options = [f"{option}={text}" for option, text in typed if option]
    result = bench.render(*options, "--", *(text for option, text in typed if not option))
    return result.require("a hostile text must be accepted or rejected", 0, 2, 3)


def _find_changed_texts(document: JobDocument, typed: Iterable[TypedText]) -> Iterator[str]:
    """Yield a sentence for each text that did not arrive as it was typed."""
    texts = {option.strip("-").replace("-", "_"): text for option, text in typed if option.startswith("--kit-text")}
    for name, text in texts.items():
        yield from compare(f"the parameter {name}", document.parameters[name], text)
    sources = [text for option, text in typed if option and not option.startswith("--kit-text")]
    yield from compare("the sources", [one.uri for one in document.sources], sources)
    yield from compare("the arguments", [*document.trainer_args], [text for option, text in typed if not option])


def _has_canary(content: bytes) -> bool:
    """Return whether the content has the canary, plain or in base64 at any offset."""
    coded = [base64.b64encode(b" " * before + CANARY.encode())[4 if before else 0 :][:16] for before in range(3)]
    return any(one in content for one in (CANARY.encode(), *coded))
