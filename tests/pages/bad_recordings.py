"""Write the dataset of docs/data.md: its episode 4 is black, and episode 12 is a copy of episode 2."""

from pathlib import Path

import made_datasets

made = made_datasets.make_dataset(8, cameras=1, video=True, kind="position", episodes=12)
for pictures in made.episodes[4].pictures.values():
    pictures[:] = 0
copied = made.episodes[2]
made.episodes.append(made_datasets.MadeEpisode(copied.task, dict(copied.values), dict(copied.pictures)))
made_datasets.write_dataset(made, Path("recordings/pick-cube"))
made_datasets.write_dataset(made, Path("recordings/stack"))
