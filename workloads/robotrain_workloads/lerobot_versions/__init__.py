"""The versions of LeRobot that jobs run with: data only, a folder each, `v0_6_1` for LeRobot 0.6.1.

Of each version:

- `train.txt`, `eval.txt`, `aloha.txt`, `metaworld.txt`, `libero.txt`: the locks of its environments, compiled from the
  `.in` beside them (`.ci/locks`)
- `options.json`: LeRobot's options, with kinds and defaults (`lerobot/options_list.py`)
- `rules.toml`: what LeRobot requires of options together (`lerobot_options/option_rules.py`)
- `index.json`: the policy types and reward models, with what help and checks need of them (`lerobot/versions.py`)
- `tasks.json`: the tasks of simulated environments that have several, and their groups
- `network.json`: the options that change the weights of a type (`.ci/lerobot_network_options.py`)
- `notes.json`, if there is one: what LeRobot does not tell about a type; it is part of `index.json`

`.ci/export_lerobot.py FOLDER` writes `options.json`, `index.json` and `tasks.json` in an environment of the lock.

A job carries the folder of its version, without the rules: LeRobot itself has them there.
"""
