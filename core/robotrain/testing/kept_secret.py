"""What is secret stays where it is."""

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from robotrain_runtime import document

from robotrain.redaction import HIDDEN, holds_secret, redact
from robotrain.testing.bench import Bench
from robotrain.testing.on_a_bench import OnABench

CANARY = "kitCanary0fSecret5"
NAMES = (
    *("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "GITHUB_TOKEN"),
    *("AZURE_CLIENT_SECRET", "AZURE_STORAGE_KEY", "AZURE_STORAGE_CONNECTION_STRING", "SLURM_JWT"),
    *("AWS_SESSION_TOKEN", "MLFLOW_TRACKING_TOKEN", "NGC_API_KEY", "DOCKER_PASSWORD"),
    *("ACME_PASSWORD", "KIT_API_KEY", "KIT_SECRET", "DATABASE_URL"),
)
SIGNED = f"https://account.blob.core.windows.net/container/prefix?sv=2024-01-01&sig={CANARY}"
SIGNED_IN = f"https://robot:{CANARY}@host.example/path"


class KeptSecret(OnABench):
    """Secrets of the environment, and secrets that somebody typed."""

    def test_no_secret_of_the_environment_is_in_a_plan(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A plan is kept, shown and sent to others: it holds the name of a secret at most."""
        for name in _names(bench):
            monkeypatch.setenv(name, CANARY)
        answer = bench.render(*bench.first_source())
        arrived = document.dump(bench.arrived(answer)).encode()
        assert [path for path, content in bench.plans[-1].files.items() if _holds(content)] == []
        assert not _holds(arrived)
        assert CANARY not in answer.told + bench.ask("explain", bench.workload.name, *bench.complete).told

    def test_no_secret_of_the_environment_is_kept_of_a_run(
        self, bench: Bench, kit_folders: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither in its record nor in what is printed of it. What the world signs in with is left to it."""
        with monkeypatch.context() as secretly:
            for name in (name for name in _names(bench) if name not in os.environ):
                secretly.setenv(name, CANARY)
            run = bench.sent()
            told = [bench.of_run(command, run.name).told for command in ("status", "logs")]
        assert CANARY not in run.answer.told + "".join(told)
        assert [*_files_that_hold_it(kit_folders / "state" / "runs")] == []

    def test_what_is_told_of_a_run_holds_no_secret(self, bench: Bench) -> None:
        """An address that is signed, as its engine may give it out, is shown and kept: it is told without that."""
        run = bench.sent()
        shown = getattr(bench.platform, "shown", None)
        said = [text for pair in (shown(run.reference).items() if shown else ()) for text in pair]
        said += [one.uri for one in bench.platform.outputs(run.reference)]
        assert [redact(text) for text in said if holds_secret(text)] == []
        assert HIDDEN not in bench.platform.status(run.reference).reason

    @pytest.mark.parametrize("text", [SIGNED, SIGNED_IN], ids=["signed", "signed-in"])
    def test_a_secret_that_was_typed_is_refused_unseen(self, bench: Bench, text: str) -> None:
        """In each setting that takes text, in a parameter and as an argument of the trainer."""
        flags = [*(one.flag for one in bench.text_settings()), *_parameters(bench)]
        while flags:
            answer = bench.render(*bench.first_source(), *(f"{flag}={text}" for flag in flags))
            assert CANARY not in answer.told
            assert answer.exit_code in (2, 3), f"one of {' '.join(flags)} takes it"
            refused = [flag for flag in flags if any(flag in one["where"] for one in answer.problems)]
            assert refused, answer.told
            flags = [flag for flag in flags if flag not in refused]
        answer = bench.render(*bench.first_source(), "--", text)
        assert CANARY not in answer.told
        assert answer.exit_code in (2, 3)


def _names(bench: Bench) -> list[str]:
    """Names of secrets that many have, and those that the engine's own may have."""
    own = re.sub(r"\W", "_", bench.platform.name).upper()
    return [*NAMES, *(f"{own}_{word}" for word in ("TOKEN", "SECRET", "PASSWORD", "API_KEY"))]


def _parameters(bench: Bench) -> list[str]:
    from robotrain.testing import strangers

    return ["--kit-note"] if bench.workload.name == strangers.WORKLOAD else []


def _files_that_hold_it(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and _holds(path.read_bytes()):
            yield str(path)


def _holds(content: bytes) -> bool:
    """Whether the canary stands in it, as it is or as base64 has it at any place."""
    coded = [base64.b64encode(b" " * before + CANARY.encode())[4 if before else 0 :][:16] for before in range(3)]
    return CANARY.encode() in content or any(one in content for one in coded)
