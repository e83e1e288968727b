"""Export a policy of Isaac Lab and play it: `python -m robotrain_workloads.isaac_export.exporter … -- ARGUMENTS`.

It runs beside Isaac Lab, in the run's own environment: Isaac Lab's Python rebuilds and exports the policy, ONNX Runtime
here checks the ONNX file against it, and then Isaac Lab's play script is started once for all formats.
"""

import argparse
import importlib
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Evaluated, Metrics, Note, Track, emit_event
from robotrain_runtime.process.stop import SIGNALS, STOPPED_STATUS, ChildGroup

from robotrain_workloads.evaluation import result_files
from robotrain_workloads.isaac import checkpoint_content, installation
from robotrain_workloads.isaac.process_group import REPORT_FILE, SCRATCH_FOLDER, start_script
from robotrain_workloads.isaac_export import container, onnx_worker
from robotrain_workloads.isaac_export.container import CheckpointFiles
from robotrain_workloads.isaac_export.image import convert
from robotrain_workloads.supervision.json_lines import ReportReader
from robotrain_workloads.supervision.process_group import POLL_SECONDS

PLAYER = Path(__file__).parent / "image" / "play.py"
CLOSE_SECONDS = 10.0
FILES = {"onnx": "policy.onnx", "jit": "policy.pt"}
SAMPLES_FILE = "samples.npz"
COMPARISON_FILE = "comparison.json"
COMPLETE_FILE = "export_results.json"
SCORED = (
    *("mean_episode_reward", "std_episode_reward", "total_episodes"),
    *("mean_inference_time_ms", "p95_inference_time_ms", "throughput_steps_per_sec"),
)
"""Metrics of a format that become scores. Names: contract, F.4."""


class Exporter:
    """One export: from a checkpoint to a folder of results."""

    def __init__(self, own: argparse.Namespace, arguments: Sequence[str]) -> None:
        self._own, self._arguments = own, arguments
        self._formats: list[str] = own.formats.split(",")
        self._lab = installation.find_installation(own.isaaclab_path, own.isaac_version)
        self._scratch = own.work / SCRATCH_FOLDER
        fetched = self._scratch / "fetched"
        source = container.fetch_files(own.checkpoint, own.source, own.agent_config, fetched)
        self._task = container.choose_task(own.task, source, own.checkpoint, own.cache, self._lab.series)
        if source.agent is None:
            raise FileNotFoundError(next(container.find_file_problems(source, None)))
        copy = self._scratch / "policy"  # the play script may write beside the checkpoint
        shutil.rmtree(copy, ignore_errors=True)
        (copy / "params").mkdir(parents=True)
        self._files = CheckpointFiles(
            weights=Path(shutil.copyfile(source.weights, copy / source.weights.name)),
            agent=Path(shutil.copyfile(source.agent, copy / "params" / "agent.yaml")),
        )
        self._group: ChildGroup | None = None
        for number in SIGNALS:
            signal.signal(number, self._handle_stop)

    def run(self) -> None:
        """Export, compare and play. Raise OSError or SystemExit with a sentence."""
        with result_files.fill_folder(self._own.results) as folder:
            for name in ("exported", "metrics", "videos"):
                (folder / name).mkdir()
            facts = self._export(folder / "exported")
            comparisons = {name: {"samples": facts.pop(name)} for name in self._formats}
            videos = {}
            if self._own.max_steps or self._own.video_length:
                for name, played in self._play(folder, facts["backend"]).items():
                    comparisons[name]["played"] = played["comparison"]
                    videos[name] = played["video"]
            summary = self._write_summary(folder, facts, comparisons)
        for name, problem in videos.items():
            if problem:
                emit_event(Note(level="warning", text=f"the play of {name} has no video: {problem}"))
        with result_files.fill_folder(self._own.keep_policy) as folder:  # what can be registered
            (folder / "params").mkdir()
            shutil.copyfile(self._files.agent or "", folder / "params" / "agent.yaml")
            shutil.copytree(self._own.results / "exported", folder, dirs_exist_ok=True)
        self._report(summary)

    def _export(self, folder: Path) -> dict[str, Any]:
        """Write the files; return what the checkpoint is, with the comparison of each format."""
        began = time.monotonic()
        content = checkpoint_content.read_content(self._files.weights)
        for problem in container.find_content_problems(self._files, content, self._own.backend, self._lab.series):
            raise OSError(problem)
        found = container.ask_converter(self._lab, self._files, str(folder), *self._formats)
        if why := found.get("problem"):
            raise OSError(f"{self._files.weights} cannot be exported: {why}")
        if "onnx" in self._formats:
            found["onnx"] = compare_onnx(folder / FILES["onnx"], folder / SAMPLES_FILE)
            (folder / SAMPLES_FILE).unlink()
        for name in self._formats:
            require_same(name, found[name], "observations that were made up")
            digest = checkpoint.hash_file(folder / FILES[name])
            (folder / f"{FILES[name]}.sha256").write_text(f"{digest}  {FILES[name]}\n", encoding="utf-8")
        known = ("backend", "observations", "actions", "rnn")
        emit_event(Track(params={"framework": found["backend"], "task": self._task}))
        files = ", ".join(FILES[name] for name in self._formats)
        print(f"exported {files} in {time.monotonic() - began:.1f} s", flush=True)
        return {name: found[name] for name in (*known, *self._formats)}

    def _play(self, folder: Path, backend: str) -> dict[str, dict[str, Any]]:
        """Play each format in simulation; return what was reported of it."""
        report = self._own.work / REPORT_FILE
        report.unlink(missing_ok=True)
        self._group = start_script(list(self._make_command(folder, backend, report)), self._scratch)
        steps = max(self._own.max_steps, self._own.video_length)
        played: dict[str, dict[str, Any]] = {}
        reader, failure, finished, kill_at = ReportReader(report), "", False, float("inf")
        emit_event(Metrics(values={}, step=0, total=steps * len(self._formats)))
        running = True
        while running:
            running = self._group.is_running()
            for line in reader.read_new():
                if line["event"] == "step":
                    step = len(played) * steps + line["step"]
                    emit_event(Metrics(values={}, step=step, total=steps * len(self._formats)))
                elif line["event"] == "played":
                    played[line["format"]] = line
                else:
                    failure, finished = line.get("problem", ""), True
                    kill_at = time.monotonic() + CLOSE_SECONDS
            if time.monotonic() > kill_at:
                self._group.send(signal.SIGKILL)
            time.sleep(POLL_SECONDS if running else 0)
        code = self._group.exit_code or 0
        if failure:
            raise OSError(f"the exported policy could not be played: {failure}")
        if not finished:
            raise OSError(f"Isaac Lab's play script ended with exit code {code} before it played: see its log above")
        for name, one in played.items():
            require_same(name, one["comparison"], "the observations of the play")
        return played

    def _make_command(self, folder: Path, backend: str, report: Path) -> Iterator[str]:
        """Yield the words that start Isaac Lab's play script, wrapped by the player."""
        own = self._own
        yield from (*self._lab.python, str(PLAYER))
        yield from ("--report", str(report), "--formats", own.formats, "--task", self._task)
        yield from ("--checkpoint", str(self._files.weights), "--agent", str(self._files.agent))
        yield from ("--folder", str(folder / "exported"), "--metrics", str(folder / "metrics"))
        yield from ("--videos", str(folder / "videos"))
        yield from (f"--steps={own.max_steps}", f"--frames={own.video_length}", f"--seed={own.seed}")
        worker = [sys.executable, str(Path(onnx_worker.__file__).absolute())]
        yield f"--onnx-command={json.dumps(worker)}"
        yield "--"
        yield from self._lab.make_script_words("play", backend)
        yield from ("--task", self._task, f"--num_envs={own.num_envs}", f"--seed={own.seed}")
        yield from ("--checkpoint", str(self._files.weights))
        yield from self._lab.make_machine_arguments(backend, self._arguments, own.headless)
        if own.video_length:
            yield from ("--video", "--video_length=1")  # so that it can render; the player records
        yield from self._arguments

    def _write_summary(self, folder: Path, facts: Mapping[str, Any], comparisons: Mapping[str, Any]) -> dict[str, Any]:
        """Write what was found, the file that says that all is complete last; return its content."""
        result_files.write_json(folder / "exported" / COMPARISON_FILE, comparisons)
        metrics = {
            name: json.loads(file.read_text(encoding="utf-8"))
            for name in self._formats
            if (file := folder / "metrics" / f"{name}_metrics.json").is_file()
        }
        for empty in ("metrics", "videos"):
            if not any((folder / empty).iterdir()):
                (folder / empty).rmdir()
        origin = {"source": self._own.source, "file": self._files.weights.name, "step": self._files.step}
        summary: dict[str, Any] = {
            "job_name": self._own.job_name,
            "task": self._task,
            **facts,
            "checkpoint": origin,
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
                episodes=sum(int(one["total_episodes"]) for one in summary["metrics"].values()),
                scores=scores,
                results=str(self._own.results.absolute()),
                policy=str(self._own.keep_policy.absolute()),
                step=self._files.step,
                conditions=f"{self._task}, {self._own.num_envs} environments, {self._own.max_steps} steps",
            )
        )
        for name, parts in summary["comparison"].items():
            worst = max(one["max_error"] for one in parts.values())
            print(f"{name}: actions differ from the checkpoint's by at most {worst:.2g}", flush=True)

    def _handle_stop(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not interrupt the cleanup
        if self._group is not None:
            self._group.send(signal.SIGKILL)
        raise SystemExit(STOPPED_STATUS)


def make_scores(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores by their name in tracking."""
    scores: dict[str, float] = {}
    for name, metrics in summary["metrics"].items():
        scores |= {f"{name}/{one}": float(metrics[one]) for one in SCORED if metrics[one] is not None}
    for name, parts in summary["comparison"].items():
        scores[f"{name}/max_error"] = max(float(one["max_error"]) for one in parts.values())
    rewards = [value for name, value in scores.items() if name.endswith("/mean_episode_reward")]
    return {**scores, **({"mean_reward": max(rewards)} if rewards else {})}


def compare_onnx(file: Path, samples: Path) -> dict[str, Any]:
    """Return the comparison of an ONNX file with the eager policy's actions."""
    numpy: Any = importlib.import_module("numpy")
    policy = onnx_worker.OnnxPolicy(file)
    wanted, found = [], []
    with numpy.load(samples) as arrays:
        for name in (name for name in arrays.files if name.startswith("obs_")):
            policy.reset()
            found += [policy.act(step).ravel() for step in arrays[name]]
            wanted.append(arrays[name.replace("obs", "actions")].ravel())
    return convert.compare(numpy.concatenate(wanted), numpy.concatenate(found))


def require_same(name: str, comparison: Mapping[str, Any], where: str) -> None:
    """Raise OSError unless the actions are those of the checkpoint."""
    if not comparison["passed"]:
        raise OSError(
            f"{FILES[name]} does not give the checkpoint's actions on {where}: they differ by up to"
            f" {comparison['max_error']}, more than {convert.ABSOLUTE} + {convert.RELATIVE} of the action"
        )


def main(arguments: Sequence[str]) -> None:
    """Export. Raise SystemExit with a sentence."""
    separator = list(arguments).index("--")
    parser = argparse.ArgumentParser(prog="exporter", allow_abbrev=False)
    for name in ("work", "cache", "checkpoint", "results", "keep-policy"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--job-name", required=True)
    parser.add_argument("--source", required=True, help="what the user named")
    parser.add_argument("--formats", required=True)
    parser.add_argument("--task")
    parser.add_argument("--backend", help="the library that the user expects")
    for name in ("num-envs", "max-steps", "video-length", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--headless", action="store_true")
    parser.add_argument("--agent-config", default="")
    parser.add_argument("--isaaclab-path")
    parser.add_argument("--isaac-version")
    try:
        Exporter(parser.parse_args(arguments[:separator]), arguments[separator + 1 :]).run()
    except OSError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main(sys.argv[1:])
