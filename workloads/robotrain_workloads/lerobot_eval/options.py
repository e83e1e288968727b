"""What stands after `--`: LeRobot's options of the environment and the policy; and those that robotrain sets itself."""

import re
from collections.abc import Mapping

FORM = re.compile(r"--(env|policy)\.[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*=.*", re.DOTALL)
EPISODES, BATCH, FOLDER = "--eval-episodes", "--eval-batch-size", "--policy-path FOLDER"
SHOWN = "leave it out: the environment shows what the policy reads, and -- --env.obs_type=NAME what you say"
LEFT = "leave it out: nothing is pushed; --register-model NAME registers the policy"

OWNED: Mapping[str, str] = {
    "--env.type": "--env",
    "--env.episode_length": "--env-steps",
    "--env.render_mode": "--record-video",
    "--env.features": SHOWN,
    "--env.features_map": SHOWN,
    "--env.max_parallel_tasks": "--env-workers",
    "--eval.n_episodes": EPISODES,
    "--eval.batch_size": BATCH,
    "--eval.use_async_envs": "--env-workers",
    "--policy.path": FOLDER,
    "--policy.pretrained_path": FOLDER,
    "--policy.pretrained_revision": "--policy-repo-id OWNER/NAME@REVISION",
    "--policy.type": "--policy-type",
    "--policy.device": "--device",
    "--policy.push_to_hub": LEFT,
    "--policy.repo_id": LEFT,
    "--dataset.repo_id": "--dataset-repo-id",
    "--dataset.root": "--dataset-path",
    "--output_dir": "--output-dir",
    "--job_name": "--job-name",
    "--seed": "--seed",
    "--start_seed": "--seed",
}
