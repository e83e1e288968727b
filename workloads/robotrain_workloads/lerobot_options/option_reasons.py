"""Why an option of LeRobot is left out of a translated line, or not translated at all."""

from typing import TYPE_CHECKING

from robotrain_workloads.lerobot.option_tree import has_option
from robotrain_workloads.lerobot_options.rejected_options import find_option_problems

if TYPE_CHECKING:
    from robotrain_workloads.lerobot_options.trained_type import TrainedType

USUAL_VALUES = {
    "save_checkpoint": ("true", "robotrain always saves checkpoints: --save_freq=N says how often"),
    "env.render_mode": ("rgb_array", "robotrain shows no window: it renders pictures, and --record-video keeps them"),
    "dataset.repo_type": ("dataset", "robotrain reads datasets of the Hub, not its storage buckets"),
}
"""Options of which robotrain has one value alone: that, and the reason."""
SPEED_OPTIONS = {
    "eval.use_async_envs": "it changes the speed alone: --env-workers N is the number of processes that simulate",
}
EXCLUDED_LIST = "it must be a list of episodes: [1, 2]"
CONFIG = "robotrain reads no configuration file of LeRobot: give the values that you need as options"
OUTPUT_NOTE = "a relative folder is made in that of the run: robotrain outputs RUN --to FOLDER copies what it has"
LOOP_NOTE = "the loop becomes a sweep: a trial for each value; `robotrain sweep` shows them side by side"
LOOP_PLACE = "each trial of a sweep has a folder and a name of its own"
LOOP = "a sweep has no option for what the loop varies by ${}: write one of its values, and submit a line for each"
JOB_VARIABLE = (
    "${} has a value only in the batch job, which robotrain starts otherwise: write a value that is known now"
)
JOB_VARIABLE_PLACE = "${} has a value only in the batch job; each run of robotrain has a folder and a name of its own"
RESUME = "robotrain resume RUN continues a run; --resume-from FOLDER continues from a checkpoint"
SIMULATOR = "training runs no simulator; afterwards: robotrain submit lerobot-eval --policy-run RUN --env NAME"
EVALUATION = "an evaluation takes only --policy. and --env. options of LeRobot"
PRESET_OFF = "robotrain trains with the optimizer of the policy's preset; options after -- may choose another"
REPLACED = "LeRobot replaces it by {}"
SAVED_RATE = "LeRobot replaces it by what the checkpoint has"
TOLERANCE_NOTE = (
    "robotrain reads the picture of a video that is at most a quarter of a frame off, where LeRobot fails beyond"
    " {0} s: -- --tolerance_s={0} is LeRobot's"
)
RESUME_FILE = "the dataset and the options of that training are in {}, which cannot be read on this machine"
REVISION = (
    "robotrain reads the folder of --dataset.root as it is: leave one of both options out; without the folder, it"
    " downloads the revision"
)
GROUP = "LeRobot reads a file of options in {}: use {}"
ADAPTER = "an adapter belongs to a policy that the training starts from: --policy.path=OWNER/NAME, and --peft. options"
DASH = "it begins with a dash that no keyboard types, as texts and chats make them: type {}"
SECOND_PROGRAM = "it is a line of its own: translate each by itself"
VALUE = "LeRobot refuses an option without a value"
SWITCH = "LeRobot takes true or false"
MAC = "jobs run on Linux, and take the GPU of their machine if it has one"
PLACE = "remove it: --platform names where the job runs"
PACKAGES = "the packages of a job are those that robotrain locks: a policy or an environment of another one is missing"
PROGRESS = "a job has the files of its dataset alone: put this one into the dataset's folder as sarm_progress.parquet"
RENAME = "LeRobot renames only for a policy that the training starts from: --policy.path=OWNER/NAME"
RENAME_FORM = """robotrain reads names as in --rename_map='{"observation.image": "observation.images.camera1"}'"""
RENAME_NOTE = "robotrain normalizes a renamed feature with its own statistics, where LeRobot {} loses them"
TASK_NUMBERS = "the numbers of tasks are those of a suite: --env.task=SUITE --env.task_ids=[0,1]"
PRECISION = "LeRobot {} trains the type {} in a number format of its own options, whatever the launcher says"
AMP = "LeRobot {} does not read it when it trains the type {}"
AMP_NOTE = (
    "LeRobot computes in float16 on a GPU and in bfloat16 on a CPU: with --device cpu, it is --mixed-precision bf16"
)
BACKBONE = "it names neither a repository of the Hub nor a folder of this machine"
START_NOTE = (
    "its configuration cannot be read here: where the line gives no --{}. option, LeRobot and robotrain both take what"
    " it says, which is not known now"
)
OTHER_VALUE = "robotrain trains with {}, and this line with {}"
TRUST_NOTE = (
    "the type {} runs Python code of the Hub: read it, and write the commit that you have read in place of COMMIT"
)
RATE_OPTIONS = {"optimizer.lr": "optimizer_lr", "scheduler.num_warmup_steps": "scheduler_warmup_steps"}
"""Options of the optimizer and the schedule that a checkpoint has, and those of the policy for them."""


def explain_preset(name: str, value: str | None, trained_type: "TrainedType") -> str:
    """Return why LeRobot does not take an option of the optimizer or the schedule; empty if it refuses it."""
    if next(find_option_problems([f"--{name}={value}"], {}, {}, trained_type.lerobot.name), None):
        return ""
    policy_option = f"{trained_type.model}.{RATE_OPTIONS.get(name) or name.replace('.', '_')}"
    has_own = has_option(policy_option, {trained_type.model: trained_type.kind}, trained_type.lerobot.name)
    return REPLACED.format(f"--{policy_option}, which the policy has" if has_own else "the preset of what it trains")
