"""Tests of a platform: rendering is pure and reproducible, hostile texts are unchanged, and secrets are not stored."""

import ast
import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from robotrain_runtime.contract import document

from robotrain.check import needs
from robotrain.model.plan import Payload, Plan
from robotrain.store import records
from robotrain.testing.harness import CommandResult, compare, no_side_effects, report
from robotrain.testing.kit_base import SAMPLE_KIND, SAMPLE_WORKLOAD
from robotrain.testing.platform_bench import ONE_HOST, OTHER_HOST, Bench, PlatformTestBase, read_zip, render_elsewhere

SAMPLE_VALUES: dict[str, tuple[str, Any]] = {
    "kit_note": ("--kit-note=two words", "two words"),
    "kit_nickname": ("--kit-nickname=ü 機", "ü 機"),
    "kit_steps": ("--kit-steps=12345", 12345),
    "kit_rate": ("--kit-rate=1e-7", 1e-7),
    "kit_fast": ("--kit-fast", True),
    "kit_mode": ("--kit-mode=fancy", "fancy"),
    "kit_table": ("--kit-table=a=1,b=two", "a=1,b=two"),
}
SAMPLE_ARGUMENTS = ("--policy.chunk_size=16", "plain", "--flag", "--flag", "", "--two=a b", "--", "-x")
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
CANARY = "kitCanary0fSecret5"
SECRET_NAMES = (
    *("HF_TOKEN", "WANDB_API_KEY", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "GITHUB_TOKEN"),
    *("DOCKER_PASSWORD", "DATABASE_URL", "ACME_PASSWORD", "KIT_API_KEY", "KIT_SECRET"),
)
"""Variables of secrets that no engine signs in with: one that it reads would break the engine's own commands."""
ENGINE_SECRET_NAMES = (
    *("AZURE_CLIENT_SECRET", "AZURE_STORAGE_KEY", "AZURE_STORAGE_CONNECTION_STRING", "AWS_SECRET_ACCESS_KEY"),
    *("AWS_SESSION_TOKEN", "NGC_API_KEY"),
)
"""Variables that an engine may sign in with: they are set only while a plan is rendered, which asks no engine."""
TypedText = tuple[str, str]
"""An option and its text; the option is empty for an argument of the trainer."""


class _Statements(ast.NodeTransformer):
    """Removes what does nothing: docstrings, and `pass` or `...` in place of one."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node

    def visit_Pass(self, node: ast.Pass) -> None:
        return None


def is_same_program(file_bytes: bytes, arrived_bytes: bytes | None) -> bool:
    """Return whether a file of a payload arrived: a module may have lost its docstrings."""
    if arrived_bytes is None or file_bytes == arrived_bytes:
        return arrived_bytes is not None
    try:
        first_tree, second_tree = (
            ast.dump(_Statements().visit(ast.parse(source))) for source in (file_bytes, arrived_bytes)
        )
    except (SyntaxError, ValueError):  # no module
        return False
    return first_tree == second_tree


class RenderTests(PlatformTestBase):
    """`check`, `render` and the other pure methods; texts that mean something to a program on the way, and secrets."""

    @pytest.mark.parametrize("command", ["render", "explain"])
    def test_rendering_has_no_side_effects(self, bench: Bench, command: str) -> None:
        """Write no file, use no network and start no program."""
        with no_side_effects():
            result = bench.run_command(command, "--json", *bench.complete_words())
        result.require(f"`{command}` must accept the job")

    def test_render_uses_its_arguments_unchanged(self, bench: Bench) -> Iterator[str]:
        """It only reads the job, whose digest names the run; all of the payload is where the runtime is started."""
        earlier_texts: list[str] = []

        def keep_arguments(render: Callable[..., Plan], arguments: list[Any]) -> Plan:
            earlier_texts[:] = map(repr, arguments)
            return render(*arguments)

        with bench.wrap_method("render", keep_arguments):
            packed_files = bench.world.read_payload(bench.render_plan())
        text_pairs = zip(earlier_texts, map(repr, bench.arguments), strict=True)
        changes = (
            f"{earlier_text} became {later_text}"
            for earlier_text, later_text in text_pairs
            if earlier_text != later_text
        )
        yield from report("`render` must not change its arguments; copy them with dataclasses.replace", changes)
        (payload,) = (argument for argument in bench.arguments if isinstance(argument, Payload))
        changed_paths = (
            path
            for path, file_bytes in read_zip(payload.archive).items()
            if not is_same_program(file_bytes, packed_files.get(path))
        )
        yield from report(
            "files of the payload are missing or changed; put all of `payload.archive` into it", changed_paths
        )

    def test_plan_and_document_match_the_job(self, bench: Bench) -> Iterator[str]:
        """They have its platform, and the run of the attempt that `render` is given; the plan shows texts."""
        plans = [bench.render_plan("--attempt", str(attempt)) for attempt in (1, 2)]
        for attempt, plan in enumerate(plans, 1):
            run = plan.job.run_name(attempt)
            yield from compare("the plan has another platform or run", (plan.platform, plan.run), (bench.name, run))
            document = bench.world.read_document(plan)
            actual = (document.platform, document.run, document.job, document.workload)
            expected_facts = (bench.name, run, plan.job.digest, plan.job.workload)
            yield from compare("the document is of another job; use `make_job_document`", actual, expected_facts)
        missing_files = {plans[0].spec, *plans[0].shown} - {*plans[0].files}
        yield from report("`spec` and `shown` name files that are not in `files`", missing_files)
        text_by_path = {path: plans[0].files.get(path, b"").decode(errors="replace") for path in plans[0].shown}
        binary = (path for path, text in text_by_path.items() if "\ufffd" in text)
        yield from report("`shown` names files that are not texts", binary)
        if plans[0].digest == plans[1].digest:
            yield "the plans of two attempts are equal: they must have the `run` that render is given"

    def test_rendering_is_reproducible(self, bench: Bench, tmp_path: Path) -> Iterator[str]:
        """Another process, user, host, folder, time zone, week and order of hashes: the same bytes."""
        plans = [
            bench.run_command("render", "--json", *bench.complete_words()).require("the job must be rendered").json
        ]
        for name, host in {"one": ONE_HOST, "other": OTHER_HOST}.items():
            plans.append(render_elsewhere(bench, tmp_path / name, **host))
        paths = sorted({path for plan in plans for path in plan["files"]})
        differing_paths = [path for path in paths if len({str(plan["files"].get(path)) for plan in plans}) > 1]
        if len({plan["digest"] for plan in plans}) > 1:
            differing_paths.append("the plan's digest")
        yield from report(
            "these differ on another machine, at another time; use only `render`'s arguments", differing_paths
        )

    def test_parameters_and_arguments_reach_the_document(self, bench: Bench) -> Iterator[str]:
        """Texts, numbers, switches and choices have their own type; arguments of the trainer are as typed, in order."""
        words = [word for word, _ in SAMPLE_VALUES.values()] if bench.workload.name == SAMPLE_WORKLOAD else []
        document = bench.world.read_document(bench.render_plan(*words, "--", *SAMPLE_ARGUMENTS))
        for name, (_, value) in SAMPLE_VALUES.items() if words else ():
            yield from compare(f"the parameter {name} is another", repr(document.parameters.get(name)), repr(value))
        yield from compare("the arguments of the trainer are others", document.trainer_args, SAMPLE_ARGUMENTS)

    @pytest.mark.parametrize("theme", HOSTILE_TEXTS)
    def test_hostile_text_is_unchanged_or_rejected(self, bench: Bench, theme: str) -> Iterator[str]:
        """A parameter, a source or an argument of the trainer arrives unchanged, or is rejected (exit code 2 or 3)."""
        bench.require_sample_workload()
        for typed_texts in _make_command_lines(bench, HOSTILE_TEXTS[theme]):
            if _render_texts(bench, typed_texts).exit_code:
                typed_texts = [text for text in typed_texts if not _render_texts(bench, [text]).exit_code]
                _render_texts(bench, typed_texts).require("texts that are accepted alone are rejected together")
            document = bench.world.read_document(bench.plans[-1])
            for option, text in typed_texts:
                if option.startswith("--kit-text"):
                    name = option.strip("-").replace("-", "_")
                    yield from compare(f"the parameter {name}", document.parameters[name], text)
            sources = [text for option, text in typed_texts if option and not option.startswith("--kit-text")]
            yield from compare("the sources", [source.uri for source in document.sources], sources)
            arguments = [text for option, text in typed_texts if not option]
            yield from compare("the arguments", [*document.trainer_args], arguments)

    def test_plan_holds_no_secret_of_the_environment(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[str]:
        """A plan is stored, shown and sent: it holds the name of a secret at most."""
        prefix = re.sub(r"\W", "_", bench.name).upper()
        own_names = (f"{prefix}_{word}" for word in ("TOKEN", "SECRET", "PASSWORD", "API_KEY", "JWT"))
        for name in (*SECRET_NAMES, *ENGINE_SECRET_NAMES, *own_names):
            monkeypatch.setenv(name, CANARY)
        plan = bench.render_plan()
        document_bytes = document.format_document(bench.world.read_document(plan)).encode()
        leaking = [
            path
            for path, file_bytes in {**plan.files, "the document": document_bytes}.items()
            if _has_canary(file_bytes)
        ]
        yield from report("these of the plan hold the value of a secret; name its variable instead", leaking)
        explain_result = bench.run_command("explain", *bench.complete_words())
        if CANARY in explain_result.output:
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
    kind, capabilities = bench.kinds[SAMPLE_KIND], bench.can
    max_datasets = needs.get_source_limit(capabilities) if capabilities.combination(kind.name, kind.name) else 1
    dataset_texts = [
        text
        for text in texts
        if capabilities.source("dataset", kind) and not any(ord(letter) < 0x20 for letter in text)
    ]
    datasets = [(kind.roles["dataset"].flag, text) for text in dataset_texts]
    parameters = [(f"--kit-text-{number}", text) for number, text in enumerate(texts, 1)]
    yield [
        *parameters,
        *datasets[:max_datasets],
        *(("", argument) for text in texts for argument in (text, f"--name={text}")),
    ]
    yield from (datasets[start : start + max_datasets] for start in range(max_datasets, len(datasets), max_datasets))


def _render_texts(bench: Bench, typed_texts: Iterable[TypedText]) -> CommandResult:
    options = [f"{option}={text}" for option, text in typed_texts if option]
    result = bench.render(*options, "--", *(text for option, text in typed_texts if not option))
    return result.require("a hostile text must be accepted or rejected", 0, 2, 3)


def _has_canary(file_bytes: bytes) -> bool:
    """Return whether the content has the canary, plain or in base64 at any offset."""
    encoded_canaries = [
        base64.b64encode(b" " * offset + CANARY.encode())[4 if offset else 0 :][:16] for offset in range(3)
    ]
    return any(canary in file_bytes for canary in (CANARY.encode(), *encoded_canaries))
