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


class Writes(SamplePlatform):
    name = "writes"

    def more(self, settings: Settings) -> dict[str, Any]:
        engine().joinpath("note").write_text("rendered")
        return {}


class Asks(SamplePlatform):
    name = "asks"

    def check(self, job: Any, settings: Settings) -> Iterator[Problem]:
        subprocess.run(["true"], check=True)
        return iter(())


class Sneaks(SamplePlatform):
    name = "sneaks"

    def more(self, settings: Settings) -> dict[str, Any]:
        threading.Thread(target=engine().joinpath("sneaked").write_text, args=("rendered",)).start()
        return {}


class Resolves(SamplePlatform):
    name = "resolves"

    def more(self, settings: Settings) -> dict[str, Any]:
        return {"at": socket.gethostbyname("localhost")}


class Knows(SamplePlatform):
    name = "knows"

    def more(self, settings: Settings) -> dict[str, Any]:
        return {"by": f"{getpass.getuser()}@{socket.gethostname()}", "cores": os.cpu_count()}


class Unpins(SamplePlatform):
    name = "unpins"

    def job_of(self, job: Any) -> Any:
        return replace(job, sources=tuple(replace(one, pin="") for one in job.sources))


class Groups(SamplePlatform):
    name = "groups"

    def job_of(self, job: Any) -> Any:
        kinds = [one.kind for one in job.sources]
        return replace(job, sources=tuple(sorted(job.sources, key=lambda one: kinds.index(one.kind))))


class Adopts(SamplePlatform):
    name = "adopts"

    def find(self, plan: Plan) -> dict[str, str] | None:
        return {"id": plan.run} if (engine() / plan.run / "taken").exists() else None


class Dates(SamplePlatform):
    name = "dates"

    def more(self, settings: Settings) -> dict[str, Any]:
        return {"made": time.strftime("%Y-%m-%d")}


class Changes(SamplePlatform):
    name = "changes"

    def job_of(self, job: Any) -> Any:
        object.__setattr__(job, "trainer_args", (*job.trainer_args, "--extra"))
        return job


class Forgets(SamplePlatform):
    name = "forgets"

    def job_of(self, job: Any) -> Any:
        return replace(job, parameters=tuple(pair for pair in job.parameters if pair[0] != "kit_rate"))


class Templates(SamplePlatform):
    name = "templates"

    def job_of(self, job: Any) -> Any:
        filled = ((name, self.filled(value)) for name, value in job.parameters)
        arguments = tuple(" ".join(job.trainer_args).split())
        return replace(job, parameters=tuple(filled), trainer_args=arguments)

    def filled(self, value: Any) -> Any:
        return value.replace("{{ 7 * 7 }}", "49") if isinstance(value, str) else value


class Boasts(SamplePlatform):
    name = "boasts"
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
            yield Problem(code="odd", stage=Stage.CHECK, title="boasts does not take that after all")


class Tells(SamplePlatform):
    name = "tells"

    def more(self, settings: Settings) -> dict[str, Any]:
        return {"token": os.environ.get("HF_TOKEN")}


class Keeps(SamplePlatform):
    name = "keeps"

    def submit(self, plan: Plan) -> dict[str, str]:
        return {**super().submit(plan), "token": os.environ.get("HF_TOKEN", "")}


class Blind(SamplePlatform):
    name = "blind"

    def find(self, plan: Plan) -> dict[str, str] | None:
        return None


class Eager(SamplePlatform):
    name = "eager"

    def find(self, plan: Plan) -> dict[str, str] | None:
        return {"id": plan.run}


class Stays(SamplePlatform):
    name = "stays"

    def logs(self, reference: Any, follow: bool, tail: int | None = None) -> Iterator[str]:
        yield from super().logs(reference, True)


class Repeats(SamplePlatform):
    name = "repeats"

    def lines(self, reference: Any) -> list[str]:
        return [line for line in super().lines(reference) for _ in range(2)]


class Goes(SamplePlatform):
    name = "goes"

    def logs(self, reference: Any, follow: bool, tail: int | None = None) -> Iterator[str]:
        while follow:
            time.sleep(0.05)
        yield from super().logs(reference, follow, tail)


class Kills(SamplePlatform):
    name = "kills"

    def cancel(self, reference: Any) -> None:
        if (self.folder(reference) / "state").read_text() == "stopped":
            raise Rejected([Problem(code="twice", stage=Stage.SUBMIT, title="it is stopped already")])
        (self.folder(reference) / "state").write_text("stopped")


class Guesses(SamplePlatform):
    name = "guesses"

    def status(self, reference: Any) -> Status:
        try:
            word = (engine() / reference["id"] / "state").read_text()
        except OSError:
            return Status(state="lost")
        return Status(state=STATES.get(word, "failed") if word != "broken" else "succeeded")


class Lists(SamplePlatform):
    name = "lists"

    def list_statuses(self, references: Any) -> list[Status]:
        return [Status(state="running") for _ in references]


@dataclass(frozen=True, kw_only=True)
class Odd:
    pool: Annotated[str, Param(help="")] = "x"
    pool_token: Annotated[str | None, Param(help="the secret of the pool")] = None
    platform: Annotated[str, Param(help="which")] = "elsewhere"


class Misnames(SamplePlatform):
    name = "misnames"
    settings = Odd
    option_hints: Mapping[str, str] = {"--pool": ""}


class Renames(SamplePlatform):
    name = "renames"

    def render(self, job: Any, settings: Settings, run: str, payload: Any, plugins: Mapping[str, str]) -> Plan:
        return replace(super().render(job, settings, job.run_name(1), payload, plugins), run=run)


class Doubles(SamplePlatform):
    name = "doubles"

    def submit(self, plan: Plan) -> dict[str, str]:
        super().submit(plan)
        return {**super().submit(plan), "id": "the-newest"}

    def folder(self, reference: Any) -> Path:
        return max(engine().iterdir())


class Leaves(SamplePlatform):
    name = "leaves"

    def outputs(self, reference: Any) -> Iterator[Output]:
        yield Output(name="checkpoints/000001", kind="checkpoint", source="local_path", uri="/sample", step=1)


class Empties(SamplePlatform):
    name = "empties"

    def outputs(self, reference: Any) -> Iterator[Output]:
        return iter(())


class Idles(SamplePlatform):
    name = "idles"

    def download(self, reference: Any, output: Output, to: Path) -> None:
        return None


class Sourceless(SamplePlatform):
    name = "sourceless"

    def render(self, job: Any, settings: Settings, run: str, payload: Any, plugins: Mapping[str, str]) -> Plan:
        work = {name: plugin for name, plugin in plugins.items() if not name.startswith("source.")}
        return super().render(job, settings, run, payload, work)


class Untracked(SamplePlatform):
    name = "untracked"
    capabilities = replace(
        SamplePlatform.capabilities, features={**SamplePlatform.capabilities.features, "tracking": YES}
    )


class Lightens(SamplePlatform):
    name = "lightens"

    def render(self, job: Any, settings: Settings, run: str, payload: Any, plugins: Mapping[str, str]) -> Plan:
        plan = super().render(job, settings, run, payload, plugins)
        return replace(plan, files={path: plan.files[path] for path in ("order.json", "job.json")})


class Formats(SamplePlatform):
    name = "formats"
    capabilities = replace(
        SamplePlatform.capabilities, sources={**SamplePlatform.capabilities.sources, ("publish", ANY): YES}
    )

    def more(self, settings: Settings) -> dict[str, Any]:
        return {"place": settings.zone.replace("{{", "{").format(), "shell": settings.replicas}

    def job_of(self, job: Any) -> Any:
        return replace(job, parameters=tuple((name, None) for name, _ in job.parameters))


class Reads(SamplePlatform):
    name = "reads"

    def more(self, settings: Settings) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError):
            return {"team": Path.home().joinpath(".kit-team").read_text()}
        return {}


class Picks(SamplePlatform):
    name = "picks"
    summary = ""

    def check(self, job: Any, settings: Settings) -> Iterator[Problem]:
        if job.workload == "lerobot-train":
            yield Problem(code="odd", stage=Stage.CHECK, title="picks does not run that after all")


@dataclass(frozen=True, kw_only=True)
class Ruled(Settings):
    rules: Annotated[str, Param(help="a file of rules", path=True)] = "/kit/rules.txt"


class Narrow(SamplePlatform):
    """Nothing is wrong with it."""

    name = "narrow"
    settings = Ruled
    capabilities = replace(SamplePlatform.capabilities, limits={"sources": 1})

    def more(self, settings: Any) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError):
            return {"rules": Path(settings.rules).read_text()}
        return {}


@hook
def robotrain_platforms() -> list[SamplePlatform]:
    return [kind() for kind in SamplePlatform.__subclasses__() if kind.__module__ == __name__]
