"""Print the tables of docs/policies.md: what was tried of each policy type and reward model, and what each needs."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/workloads"))
from policy_trials import PUBLISHED, TRIALS, PolicyTrial
from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.versions import ModelType

STAGES = ("train", "fine-tune", "resume")
RAN = {"trains": "ran here", "trains reduced": "ran here, reduced"}


def format_page() -> str:
    """Return all tables."""
    return "\n".join(
        [
            "## Policies\n",
            *_format_table(trial for trial in TRIALS if not trial.reward_model),
            "\n## Reward models\n",
            *_format_table(trial for trial in TRIALS if trial.reward_model),
            "",
        ]
    )


def _format_table(trials: Iterable[PolicyTrial]) -> Iterator[str]:
    yield "| type | train | fine-tune | resume | adapter | evaluate | publish | data | repositories | note |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    newest = versions.get_version()
    for trial in sorted(trials, key=lambda one: one.type):
        facts = (newest.reward_models if trial.reward_model else newest.policies)[trial.type]
        stages = (_describe_stage(trial, stage) for stage in STAGES)
        cells = (
            f"`{trial.type}`",
            *stages,
            _describe_adapter(facts, trial),
            _describe_evaluation(trial),
            _describe_publishing(trial),
            _describe_data(facts),
            _list_repositories(facts, trial),
            facts.refused or trial.reason,
        )
        yield f"| {' | '.join(cell or '' for cell in cells)} |"


def _describe_stage(trial: PolicyTrial, stage: str) -> str:
    if stage in trial.stages:
        return RAN[trial.result]
    return trial.result if trial.result not in RAN else "not possible"


def _describe_adapter(facts: ModelType, trial: PolicyTrial) -> str:
    if "adapter" in trial.stages:
        return RAN[trial.result]
    if trial.reward_model or trial.result not in RAN or facts.refused_start:
        return "not possible"
    return "not run" if facts.adapter_modules else "not run, modules to name"


def _describe_publishing(trial: PolicyTrial) -> str:
    if "train" not in trial.stages:
        return "not possible"
    return "ran here" if trial.type in PUBLISHED else "not run"


def _describe_evaluation(trial: PolicyTrial) -> str:
    if "evaluate" in trial.stages or trial.result not in RAN or trial.reward_model:
        return _describe_stage(trial, "evaluate")
    return "not run"


def _describe_data(facts: ModelType) -> str:
    least, most = facts.cameras or (0, None)
    instead = ", or an environment state" if facts.environment_state else ""
    counts = {(0, None): "", (1, None): f"a camera or more{instead}"}
    cameras = counts.get((least, most), f"{least} to {most} cameras" if least != most else f"exactly {most} camera")
    parts = (cameras, "`next.reward`" * facts.reads_reward, "task texts" * facts.reads_task)
    return ", ".join(part for part in parts if part)


def _list_repositories(facts: ModelType, trial: PolicyTrial) -> str:
    names = (f"`{name}`" + " (its code runs)" * (name in trial.trusted) for name in facts.repositories)
    return ", ".join(names)


if __name__ == "__main__":
    sys.stdout.write(format_page())
