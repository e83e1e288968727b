"""How many GPUs of which type a word of sbatch asks for, in the words of robotrain."""

import re

GPU_FLAGS = {
    **dict.fromkeys(("--gres", "-G", "--gpus"), "--gpus"),
    **dict.fromkeys(("--gpus-per-node", "--gpus-per-task", "--num-gpus"), "--num-gpus"),
}
"""The options of sbatch for GPUs, and those of robotrain that such a value is typed after, each with robotrain's."""
TYPED_COUNT = re.compile(r"(?:(?P<type>[A-Za-z][\w.-]*):)?(?P<count>\d+)")
RESOURCE = re.compile(r"gpu(?::(?P<type>[A-Za-z][\w.-]*))?(?::(?P<count>\d+))?")
"""GPUs as `--gres` has them."""
OTHER_RESOURCE = re.compile(r"(?!gpu)[a-z]\w*(?::\w+)*")


def translate_gpu_option(flag: str, value: str) -> str:
    """Return the options of robotrain for one about GPUs; empty for another one, or what is typed already.

    `--gres=gpu:a100:2` is `--gpus 2 --gpu-type a100`.
    """
    if flag == "--gres" and OTHER_RESOURCE.fullmatch(value):
        return f"--sbatch gres={value}"
    form = RESOURCE if flag == "--gres" else TYPED_COUNT
    match = form.fullmatch(value)
    if flag not in GPU_FLAGS or match is None:
        return ""
    gpu_type = f" --gpu-type {match['type']}" if match["type"] else ""
    text = f"{GPU_FLAGS[flag]} {match['count'] or 1}{gpu_type}"
    return "" if text == f"{flag} {value}" else text
