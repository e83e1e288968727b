"""Flags that several source kinds share; the value tells which kind it is."""

from collections.abc import Callable

from robotrain.model.source import RoleFlag

POLICY_MODEL = RoleFlag(
    "--policy-model",
    repeatable=False,
    help="A policy to fine-tune or to evaluate: NAME:VERSION in the platform's registry, azureml:NAME:VERSION, or "
    "runs:/RUN_ID/PATH, the artifacts of a tracking run.",
    form="MODEL",
)
REFERENCE_MODEL = RoleFlag(
    "--reference-model", help="A policy to compare the evaluated one with: a model as for --policy-model.", form="MODEL"
)


def make_resume_flag(recognizes: Callable[[str], bool] | None = None, source_form: str = "") -> RoleFlag:
    """Return the flag of a checkpoint; `recognizes` and `source_form` as in `RoleFlag`."""
    return RoleFlag(
        "--resume-from",
        repeatable=False,
        help="A checkpoint to resume training from, with its step and optimizer state: a folder, or what --publish-url "
        "wrote: a blob URL, whose PREFIX alone means the last complete checkpoint there, or hf://OWNER/NAME@TAG.",
        form="CHECKPOINT",
        recognizes=recognizes,
        source_form=source_form,
    )


RESUME = make_resume_flag()
CHECKPOINT = RoleFlag(
    "--checkpoint-uri",
    ("-c", "--policy-run"),
    env=("CHECKPOINT_URI",),
    repeatable=False,
    help="A checkpoint of Isaac Lab: its folder, a run of robotrain (RUN or RUN@STEP), runs:/RUN_ID/PATH, "
    "models:/NAME/VERSION, models:/NAME/latest or azureml:NAME:VERSION, a blob URL, or the https URL of its file.",
    form="CHECKPOINT",
    common=True,
)
CODE = RoleFlag(
    "--code",
    ("--training-path",),
    env=("ROBOTRAIN_TRAINING_PATH", "TRAINING_PATH"),
    repeatable=False,
    help="The folder of your own program, or git+https://HOST/OWNER/REPO@REVISION. The job runs in a copy of it. Files "
    "that .gitignore, .amlignore or .robotrainignore name stay here. isaac-train runs its scripts/train.sh (--entry "
    "FILE) in place of Isaac Lab's scripts.",
    form="FOLDER|URL",
    common=True,
)
INIT_POLICY = RoleFlag(
    "--init-from-policy-model",
    env=("INIT_FROM_POLICY_MODEL",),
    repeatable=False,
    help="A policy to initialize the weights from: a model as for --policy-model, or a blob URL.",
    form="MODEL|URL",
)


def make_scenes_flag(recognizes: Callable[[str], bool] | None = None, source_form: str = "") -> RoleFlag:
    """Return the flag of what a simulated environment loads; `recognizes` and `source_form` as in `RoleFlag`."""
    return RoleFlag(
        "--assets",
        ("--scenes-path", "--scenes-url", "--scenes-repo-id"),
        repeatable=False,
        help="Robots, meshes and textures that the simulation loads. A folder of the machine that runs the job, a blob "
        "URL, or a dataset of the Hugging Face Hub. Isaac Lab reads them in place of its asset server; lerobot-eval "
        "--env libero has a default.",
        form="FOLDER|URL",
        recognizes=recognizes,
        source_form=source_form,
        common=True,
    )


SCENES = make_scenes_flag()
