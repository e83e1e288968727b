"""Export a policy of Isaac Lab and play it: `python -m robotrain_workloads.isaac_export.exporter … -- ARGUMENTS`.

It runs beside Isaac Lab, in the run's own environment: it starts a rollout in the play script, which exports the policy
and plays each file. ONNX Runtime is here, and runs the ONNX file for it.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.checkpoint import hash_file
from robotrain_runtime.contract.event import Evaluated, Metrics, Track, emit_event, emit_note

from robotrain_workloads.evaluation import result_files
from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.isaac import installation, rollout
from robotrain_workloads.isaac.rollout import Report
from robotrain_workloads.isaac_export import container, onnx_worker, parameters

FETCHED_FOLDER = "isaac-fetched"
"""Where the agent's parameters are downloaded to, below the run's folder."""
COMPARISON_FILE = "comparison.json"
COMPLETE_FILE = "export_results.json"
SCORED = (
    *("mean_episode_reward", "std_episode_reward", "total_episodes"),
    *("mean_inference_time_ms", "p95_inference_time_ms", "throughput_steps_per_sec"),
)
"""Metrics of a format that become scores. Names: contract, F.4."""


class Exporter:
    """One export: from a checkpoint to a folder of results."""

    def __init__(self, program_options: argparse.Namespace) -> None:
        self._own = program_options
        self._formats: list[str] = program_options.formats.split(",")
        self._lab = installation.find_installation(program_options.isaaclab_path, program_options.isaac_version)
        fetched_folder = program_options.work / FETCHED_FOLDER
        address, config = program_options.source, program_options.agent_config
        self._checkpoint = container.fetch_checkpoint(
            program_options.checkpoint, program_options.cache, address, config, fetched_folder
        )
        self._task = program_options.task or self._checkpoint.facts.task or parameters.DEFAULT_TASKS[self._lab.series]

    def run(self) -> None:
        """Export, compare and play. Raise OSError or SystemExit with a sentence."""
        checkpoint, backend = self._checkpoint, self._checkpoint.backend
        for problem in container.find_checkpoint_problems(checkpoint, "", self._own.backend, self._lab.series):
            raise OSError(problem)
        assert checkpoint.params is not None
        emit_event(Track(params={"framework": backend, "task": self._task}))
        with result_files.fill_folder(self._own.results) as folder:
            for name in ("exported", "metrics", "videos"):
                (folder / name).mkdir()
            reports = self._play(folder)
            for file in sorted((folder / "exported").iterdir()):
                digest = hash_file(file)
                file.with_name(f"{file.name}.sha256").write_text(f"{digest}  {file.name}\n", encoding="utf-8")
            summary = self._write_summary(folder, backend, reports)
        for report in reports:
            if report.get("video"):
                note_text = f"the play of {report['format']} has no video: {report['video']}"
                emit_note(note_text, "warning")
        with result_files.fill_folder(self._own.keep_policy) as folder:  # what can be registered
            (folder / "params").mkdir()
            shutil.copyfile(checkpoint.params, folder / "params" / "agent.yaml")
            shutil.copytree(self._own.results / "exported", folder, dirs_exist_ok=True)
        self._report(summary)

    def _play(self, folder: Path) -> list[Report]:
        """Export, and play each format in simulation; return what was reported: of the export, then of each format."""
        own = self._own
        worker = [sys.executable, str(Path(onnx_worker.__file__).absolute())]
        play_options = (
            *(f"--export={folder / 'exported'}", f"--formats={own.formats}", f"--onnx-command={json.dumps(worker)}"),
            *(f"--metrics={folder / 'metrics'}", f"--videos={folder / 'videos'}", f"--task={self._task}"),
            *(f"--steps={own.max_steps}", f"--frames={own.video_length}", f"--seed={own.seed}"),
        )
        reports: list[Report] = []

        def add_report(report: Report) -> None:
            if report["event"] == "step":
                done_steps = (len(reports) - 1) * report["total"] + report["step"]
                emit_event(Metrics(values={}, step=done_steps, total=report["total"] * len(self._formats)))
            else:
                reports.append(report)

        rollout.play(
            own,
            self._lab,
            self._checkpoint,
            self._task,
            play_options,
            add_report,
            num_envs=own.num_envs,
            video_length=min(own.video_length, 1),  # so that it can render; the program records
        )
        return reports

    def _write_summary(self, folder: Path, backend: str, reports: Sequence[Report]) -> dict[str, Any]:
        """Write what was found, the file that says that all is complete last; return its content."""
        export_report, *play_reports = reports
        comparisons = {report["format"]: report["comparison"] for report in play_reports}
        result_files.write_json(folder / "exported" / COMPARISON_FILE, comparisons)
        metrics = {
            name: json.loads(file.read_text(encoding="utf-8"))
            for name in self._formats
            if (file := folder / "metrics" / f"{name}_metrics.json").is_file()
        }
        for empty in ("metrics", "videos"):
            if not any((folder / empty).iterdir()):
                (folder / empty).rmdir()
        name, step = self._checkpoint.file.name, self._checkpoint.step
        checkpoint_origin = {"source": self._own.source, "file": name, "step": step}
        summary: dict[str, Any] = {
            "job_name": self._own.job_name,
            "task": self._task,
            "backend": backend,
            "observations": export_report["observations"],
            "actions": export_report["actions"],
            "checkpoint": checkpoint_origin,
            "comparison": comparisons,
            "metrics": result_files.replace_non_finite(metrics),
        }
        result_files.write_json(folder / COMPLETE_FILE, summary)
        return summary

    def _report(self, summary: Mapping[str, Any]) -> None:
        scores = make_scores(summary)
        steps = max(self._own.max_steps, self._own.video_length) * len(self._formats)
        emit_event(Metrics(values=scores, step=steps, total=steps or None))
        emit_event(
            Evaluated(
                episodes=sum(int(metrics["total_episodes"]) for metrics in summary["metrics"].values()),
                scores=scores,
                results=str(self._own.results.absolute()),
                policy=str(self._own.keep_policy.absolute()),
                step=self._checkpoint.step,
                conditions=f"{self._task}, {self._own.num_envs} environments, {self._own.max_steps} steps",
            )
        )
        for name, comparison in summary["comparison"].items():
            print(
                f"{name}: actions differ from the checkpoint's by at most {comparison['max_error']:.2g}"
                f" on {comparison['observations']} observations",
                flush=True,
            )


def make_scores(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores by their name in tracking."""
    scores: dict[str, float] = {}
    for name, metrics in summary["metrics"].items():
        scores |= {f"{name}/{metric}": float(metrics[metric]) for metric in SCORED if metrics[metric] is not None}
    for name, comparison in summary["comparison"].items():
        scores[f"{name}/max_error"] = float(comparison["max_error"])
    rewards = [score for name, score in scores.items() if name.endswith("/mean_episode_reward")]
    return {**scores, **({"mean_reward": max(rewards)} if rewards else {})}


def main(arguments: Sequence[str]) -> None:
    """Export. Raise SystemExit with a sentence."""
    parser = rollout.make_parser("exporter")
    parser.add_argument("--keep-policy", type=Path, required=True)
    parser.add_argument("--formats", required=True)
    parser.add_argument("--max-steps", type=int, required=True)
    parser.add_argument("--agent-config", default="")
    try:
        Exporter(rollout.parse_options(parser, arguments)).run()
    except OSError as error:
        raise WorkFailed(error) from error


if __name__ == "__main__":
    main(sys.argv[1:])
