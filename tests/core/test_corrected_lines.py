"""Files of YAML and TOML that cannot be read for a common mistake: the line that mends them."""

from pathlib import Path

import pytest

HEAD = "workload: command\n"

JOB_FILES = {
    # a job file, the line of the mistake, what to write there
    f"{HEAD}run: [true, --out, {{outputs}}]\n": (2, '"{outputs}"'),
    f"{HEAD}run:\n  - true\n  - {{lr}}\nparams: {{lr: 1}}\n": (4, '"{lr}"'),
    f"{HEAD}run: [true, --out {{outputs}}]\n": (2, 'run: [true, --out, "{outputs}"]'),
    f"{HEAD}run: [true, --out={{outputs}}]\n": (2, 'run: [true, "--out={outputs}"]'),
    f'{HEAD}run: [true, "{{outputs}}]\nparams: {{a: 1}}\n': (2, 'run: [true, "{outputs}"]'),
    f'{HEAD}run: [true, "{{outputs}}"\nparams: {{a: 1}}\n': (2, 'run: [true, "{outputs}"]'),
    f"{HEAD}params:\n\tlr: 1\n": (3, "lr: 1"),
    f"{HEAD}params:\n  lr: 1\n  name: a: b\n": (4, 'name: "a: b"'),
    "workload:command\nrun: [true]\n": (1, "workload: command"),
    f"{HEAD}params: {{name: %x}}\n": (2, 'params: {name: "%x"}'),
    f"{HEAD}run: [}}\n": (2, ""),
}
PROJECT_FILES = {
    "platform = local\n": (1, 'platform = "local"'),
    'platform = "local\n': (1, 'platform = "local"'),
    "platform: local\n": (1, 'platform = "local"'),
    "[parameters]\nnum_gpus = 1\n[platforms.local\n": (3, "[platforms.local]"),
    "[platforms.local]\nexec_timeout = 1h\n": (2, 'exec_timeout = "1h"'),
    "[parameters]\nsystem_metrics = False\n": (2, "system_metrics = false"),
    "=\n": (1, ""),
}
FILES = {
    **{("job.yaml", text): way for text, way in JOB_FILES.items()},
    **{("robotrain.toml", text): way for text, way in PROJECT_FILES.items()},
}


@pytest.mark.parametrize(("name", "text"), FILES)
def test_a_file_that_cannot_be_read_is_answered_with_its_corrected_line(robotrain, name, text):
    Path(name).write_text(text)
    word = "job.yaml" if name == "job.yaml" else "command"
    answer = robotrain("explain", word, "--platform", "local", "--json", "--", "true", "{outputs}")
    answer = robotrain("explain", word, "--platform", "local", "--json") if name == "job.yaml" else answer
    (problem,) = (problem for problem in answer.json["problems"] if problem["severity"] == "error")
    number, way = FILES[name, text]
    assert (problem["where"], [way["text"] for way in problem["instead"]]) == (f"{name}:{number}", [way] if way else [])
