"""Platforms with one fault each; installed from their text, like kit_sample_platform.py."""

import contextlib
import getpass
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from kit_sample_plugin import STATES, SamplePlatform, Settings, engine
from robotrain.plugin import ANY, YES, Capabilities, Output, Param, Plan, Problem, Rejected, Stage, Status, hook, no


class WritesFile(SamplePlatform):
    def more(self, settings: Settings) -> dict[str, Any]:
        engine().joinpath("note").write_text("rendered")
        return {}


class StartsProgram(SamplePlatform):
    def check(self, job: Any, settings: Settings) -> Iterator[Problem]:
        subprocess.run(["true"], check=True)
        return iter(())


class WritesInThread(SamplePlatform):
    def more(self, settings: Settings) -> dict[str, Any]:
        threading.Thread(target=engine().joinpath("sneaked").write_text, args=("rendered",)).start()
        return {}


class ResolvesHost(SamplePlatform):
    def more(self, settings: Settings) -> dict[str, Any]:
        return {"at": socket.gethostbyname("localhost")}


class RendersMachine(SamplePlatform):
    def more(self, settings: Settings) -> dict[str, Any]:
        return {"by": f"{getpass.getuser()}@{socket.gethostname()}", "cores": os.cpu_count()}


class DropsPins(SamplePlatform):
    def job_of(self, job: Any) -> Any:
        return replace(job, sources=tuple(replace(one, pin="") for one in job.sources))


class ReordersSources(SamplePlatform):
    def job_of(self, job: Any) -> Any:
        kinds = [one.kind for one in job.sources]
        return replace(job, sources=tuple(sorted(job.sources, key=lambda one: kinds.index(one.kind))))


class FindsOtherPlan(SamplePlatform):
    def find(self, plan: Plan) -> dict[str, str] | None:
        return {"id": plan.run} if (engine() / plan.run / "taken").exists() else None


class RendersDate(SamplePlatform):
    def more(self, settings: Settings) -> dict[str, Any]:
        return {"made": time.strftime("%Y-%m-%d")}


class ChangesJob(SamplePlatform):
    def job_of(self, job: Any) -> Any:
        object.__setattr__(job, "trainer_args", (*job.trainer_args, "--extra"))
        return job


class DropsParameter(SamplePlatform):
    def job_of(self, job: Any) -> Any:
        return replace(job, parameters=tuple(pair for pair in job.parameters if pair[0] != "kit_rate"))


class FillsTemplates(SamplePlatform):
    def job_of(self, job: Any) -> Any:
        filled = ((name, self.filled(value)) for name, value in job.parameters)
        arguments = tuple(" ".join(job.trainer_args).split())
        return replace(job, parameters=tuple(filled), trainer_args=arguments)

    def filled(self, value: Any) -> Any:
        return value.replace("{{ 7 * 7 }}", "49") if isinstance(value, str) else value


class DeclaresTooMuch(SamplePlatform):
    capabilities = Capabilities(
        combinations={("kit_shelf", "huggingface"): no("They cannot be combined.")},
        sources={("dataset", ANY): YES, ("checkpoint", "huggingface"): YES, ("policy", "blob_url"): no("")},
        workloads={ANY: YES},
        features={"several_datasets": YES, "multi_gpu": YES},
        limits={"racks": 2},
    )

    def check(self, job: Any, settings: Settings) -> Iterator[Problem]:
        given = dict(job.parameters)
        if given.get("kit_needs_multi_gpu") or any(one.kind == "kit_shelf" for one in job.sources):
            yield Problem(code="odd", stage=Stage.CHECK, title=f"{self.name} does not take that after all")


class RendersSecret(SamplePlatform):
    def more(self, settings: Settings) -> dict[str, Any]:
        return {"token": os.environ.get("HF_TOKEN")}


class StoresSecret(SamplePlatform):
    def submit(self, plan: Plan) -> dict[str, str]:
        return {**super().submit(plan), "token": os.environ.get("HF_TOKEN", "")}


class NeverFinds(SamplePlatform):
    def find(self, plan: Plan) -> dict[str, str] | None:
        return None


class AlwaysFinds(SamplePlatform):
    def find(self, plan: Plan) -> dict[str, str] | None:
        return {"id": plan.run}


class AlwaysFollows(SamplePlatform):
    def logs(self, reference: Any, follow: bool, tail: int | None = None) -> Iterator[str]:
        yield from super().logs(reference, True)


class RepeatsLines(SamplePlatform):
    def lines(self, reference: Any) -> list[str]:
        return [line for line in super().lines(reference) for _ in range(2)]


class FollowsForever(SamplePlatform):
    def logs(self, reference: Any, follow: bool, tail: int | None = None) -> Iterator[str]:
        while follow:
            time.sleep(0.05)
        yield from super().logs(reference, follow, tail)


class CancelsOnce(SamplePlatform):
    def cancel(self, reference: Any) -> None:
        if (self.folder(reference) / "state").read_text() == "stopped":
            raise Rejected([Problem(code="twice", stage=Stage.SUBMIT, title="it is stopped already")])
        (self.folder(reference) / "state").write_text("stopped")


class GuessesStates(SamplePlatform):
    def status(self, reference: Any) -> Status:
        try:
            word = (engine() / reference["id"] / "state").read_text()
        except OSError:
            return Status(state="lost")
        return Status(state=STATES.get(word, "failed") if word != "broken" else "succeeded")


class ListsAllRunning(SamplePlatform):
    def list_statuses(self, references: Any) -> list[Status]:
        return [Status(state="running") for _ in references]


@dataclass(frozen=True, kw_only=True)
class MalformedFields:
    pool: Annotated[str, Param(help="")] = "x"
    pool_token: Annotated[str | None, Param(help="the secret of the pool")] = None
    platform: Annotated[str, Param(help="which")] = "elsewhere"


class MalformedSettings(SamplePlatform):
    settings = MalformedFields
    option_hints: Mapping[str, str] = {"--pool": ""}


class RendersFirstAttempt(SamplePlatform):
    def render(self, job: Any, settings: Settings, run: str, payload: Any, plugins: Mapping[str, str]) -> Plan:
        return replace(super().render(job, settings, job.run_name(1), payload, plugins), run=run)


class SubmitsTwice(SamplePlatform):
    def submit(self, plan: Plan) -> dict[str, str]:
        super().submit(plan)
        return {**super().submit(plan), "id": "the-newest"}

    def folder(self, reference: Any) -> Path:
        return max(engine().iterdir())


class InventsCheckpoint(SamplePlatform):
    def outputs(self, reference: Any) -> Iterator[Output]:
        yield Output(name="checkpoints/000001", kind="checkpoint", source="local_path", uri="/sample", step=1)


class HidesCheckpoint(SamplePlatform):
    def outputs(self, reference: Any) -> Iterator[Output]:
        return iter(())


class DownloadsNothing(SamplePlatform):
    def download(self, reference: Any, output: Output, to: Path) -> None:
        return None


class DropsSourcePlugins(SamplePlatform):
    def render(self, job: Any, settings: Settings, run: str, payload: Any, plugins: Mapping[str, str]) -> Plan:
        work = {name: plugin for name, plugin in plugins.items() if not name.startswith("source.")}
        return super().render(job, settings, run, payload, work)


class LacksTracking(SamplePlatform):
    capabilities = replace(
        SamplePlatform.capabilities, features={**SamplePlatform.capabilities.features, "tracking": YES}
    )


class DropsPayload(SamplePlatform):
    def render(self, job: Any, settings: Settings, run: str, payload: Any, plugins: Mapping[str, str]) -> Plan:
        plan = super().render(job, settings, run, payload, plugins)
        return replace(plan, files={path: plan.files[path] for path in ("order.json", "job.json")})


class FormatsSettings(SamplePlatform):
    capabilities = replace(
        SamplePlatform.capabilities, sources={**SamplePlatform.capabilities.sources, ("publish", ANY): YES}
    )

    def more(self, settings: Settings) -> dict[str, Any]:
        return {"place": settings.zone.replace("{{", "{").format(), "shell": settings.replicas}

    def job_of(self, job: Any) -> Any:
        return replace(job, parameters=tuple((name, None) for name, _ in job.parameters))


class ReadsHome(SamplePlatform):
    def more(self, settings: Settings) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError):
            return {"team": Path.home().joinpath(".kit-team").read_text()}
        return {}


class RejectsWorkload(SamplePlatform):
    summary = ""

    def check(self, job: Any, settings: Settings) -> Iterator[Problem]:
        if job.workload == "lerobot-train":
            yield Problem(code="odd", stage=Stage.CHECK, title=f"{self.name} does not run that after all")


@dataclass(frozen=True, kw_only=True)
class SettingsWithFile(Settings):
    rules: Annotated[str, Param(help="a file of rules", path=True)] = "/kit/rules.txt"


class AcceptsOneSource(SamplePlatform):
    """Nothing is wrong with it."""

    settings = SettingsWithFile
    capabilities = replace(SamplePlatform.capabilities, limits={"sources": 1})

    def more(self, settings: Any) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError):
            return {"rules": Path(settings.rules).read_text()}
        return {}


@hook
def robotrain_platforms() -> list[SamplePlatform]:
    return [kind() for kind in SamplePlatform.__subclasses__() if kind.__module__ == __name__]
