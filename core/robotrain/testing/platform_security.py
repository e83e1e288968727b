"""Tests of a platform: hostile texts are never interpreted, secrets are never stored or shown."""

import base64
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument

from robotrain.check import capability_checks
from robotrain.testing.bench import SAMPLE_KIND, Bench
from robotrain.testing.harness import CommandResult, assert_none
from robotrain.testing.platform_base import PlatformTestBase

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


TypedText = tuple[str, str]
"""An option and its text; the option is empty for an argument of the trainer."""


class InjectionTests(PlatformTestBase):
    """Texts that have a meaning for a program on the way."""

    @pytest.mark.parametrize("theme", HOSTILE_TEXTS)
    def test_hostile_text_is_unchanged_or_rejected(self, bench: Bench, theme: str) -> None:
        """A parameter, a source or an argument of the trainer arrives unchanged, or is rejected (exit code 2 or 3)."""
        bench.require_sample_workload()
        for typed in _make_command_lines(bench, HOSTILE_TEXTS[theme]):
            answer = bench.render(*_to_words(typed))
            if _is_refused(answer):
                typed = [one for one in typed if not _is_refused(bench.render(*_to_words([one])))]
                answer = bench.render(*_to_words(typed))
            _assert_unchanged(bench.read_document(answer), typed)

    @pytest.mark.parametrize("text", HOSTILE_SETTINGS.values(), ids=HOSTILE_SETTINGS)
    def test_hostile_setting_changes_nothing_else(self, bench: Bench, text: str) -> None:
        """A text setting does not change the document but for where the job runs, or it is rejected."""
        settings = bench.list_text_settings()
        while settings:
            answer = bench.render(*bench.first_source(), *(f"{one.flag}={text}" for one in settings))
            if not _is_refused(answer):
                found, job = bench.read_document(answer), bench.plans[-1].job
                assert (found.run, found.job, found.workload) == (job.run_name(1), job.digest, job.workload)
                assert (found.parameters, found.sources) == (dict(job.parameters), job.sources)
                assert found.trainer_args == job.trainer_args
                return
            texts = [f"{one['where']} {one['title']} {one['why']} {one['given']}" for one in answer.problems]
            named = [one for one in settings if any(one.flag in text for text in texts)]
            assert named, f"rejected without naming the setting:\n{answer.output}"
            settings = [one for one in settings if one not in named]


def _make_command_lines(bench: Bench, texts: Sequence[str]) -> Iterator[list[TypedText]]:
    """Yield jobs with each text in each place: one, and more if it had more datasets than the platform accepts."""
    kind, can = bench.kinds[SAMPLE_KIND], bench.capabilities
    most = capability_checks.get_source_limit(can) if can.combination(kind.name, kind.name) else 1
    names = [text for text in texts if can.source("dataset", kind) and not any(ord(letter) < 0x20 for letter in text)]
    datasets = [(kind.roles["dataset"].flag, text) for text in names]
    parameters = [(f"--kit-text-{number}", text) for number, text in enumerate(texts, 1)]
    yield [*parameters, *datasets[:most], *(("", one) for text in texts for one in (text, f"--name={text}"))]
    yield from (datasets[at : at + most] for at in range(most, len(datasets), most))


def _to_words(typed: Iterable[TypedText]) -> list[str]:
    options = [f"{option}={text}" for option, text in typed if option]
    return [*options, "--", *(text for option, text in typed if not option)]


def _assert_unchanged(document: JobDocument, typed: Iterable[TypedText]) -> None:
    """Fail if a text did not arrive as it was typed."""
    is_parameter = {option: option.startswith("--kit-text") for option, _ in typed}
    names = {option.strip("-").replace("-", "_"): text for option, text in typed if is_parameter[option]}
    assert {name: document.parameters[name] for name in names} == names
    sources = [text for option, text in typed if option and not is_parameter[option]]
    assert [one.uri for one in document.sources] == sources
    assert [*document.trainer_args] == [text for option, text in typed if not option]


def _is_refused(result: CommandResult) -> bool:
    assert result.exit_code in (0, 2, 3), result.output
    return result.exit_code != 0


CANARY = "kitCanary0fSecret5"
SECRET_NAMES = (
    *("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "GITHUB_TOKEN"),
    *("AZURE_CLIENT_SECRET", "AZURE_STORAGE_KEY", "AZURE_STORAGE_CONNECTION_STRING", "SLURM_JWT"),
    *("AWS_SESSION_TOKEN", "MLFLOW_TRACKING_TOKEN", "NGC_API_KEY", "DOCKER_PASSWORD"),
    *("ACME_PASSWORD", "KIT_API_KEY", "KIT_SECRET", "DATABASE_URL"),
)


class SecretTests(PlatformTestBase):
    """Secrets of the environment, and secrets that a user typed."""

    def test_plan_holds_no_secret_of_the_environment(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A plan is stored, shown and sent: it holds the name of a secret at most."""
        for name in _list_secret_names(bench):
            monkeypatch.setenv(name, CANARY)
        result = bench.render(*bench.first_source())
        arrived = document.format_document(bench.read_document(result)).encode()
        leaking = [path for path, content in bench.plans[-1].files.items() if _has_canary(content)]
        assert_none(leaking, "these files of the plan hold the value of a secret; name its variable instead")
        assert not _has_canary(arrived), "the document holds the value of a secret"
        explained = bench.run_command("explain", bench.workload.name, *bench.complete_words)
        assert CANARY not in result.output + explained.output, "a secret is printed"

    def test_run_record_holds_no_secret_of_the_environment(
        self, bench: Bench, kit_folders: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither the record nor the output has it; the variables that the world signs in with stay as they are."""
        with monkeypatch.context() as patched:
            for name in (name for name in _list_secret_names(bench) if name not in os.environ):
                patched.setenv(name, CANARY)
            run = bench.submit_job()
            outputs = [bench.run_for(command, run.name).output for command in ("status", "logs")]
        assert CANARY not in run.result.output + "".join(outputs), "a secret is printed"
        files = (path for path in sorted((kit_folders / "state" / "runs").rglob("*")) if path.is_file())
        leaking = [f"{path}: {path.read_text()}" for path in files if _has_canary(path.read_bytes())]
        assert_none(leaking, "these files of the record hold the value of a secret; leave it out of the reference")


def _list_secret_names(bench: Bench) -> list[str]:
    own = re.sub(r"\W", "_", bench.platform.name).upper()
    return [*SECRET_NAMES, *(f"{own}_{word}" for word in ("TOKEN", "SECRET", "PASSWORD", "API_KEY"))]


def _has_canary(content: bytes) -> bool:
    """Return whether the content has the canary, plain or in base64 at any offset."""
    coded = [base64.b64encode(b" " * before + CANARY.encode())[4 if before else 0 :][:16] for before in range(3)]
    return any(one in content for one in (CANARY.encode(), *coded))
