"""The episodes of a mixture: which are held out, and which are trained on.

LeRobot holds out the last episodes of each task, and those of a mixture would all be of its last dataset. So they are
put into another order, in which the last ones are those of each dataset. Does not import numpy, which starts threads.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from robotrain_workloads.exit_status import WorkFailed, end_as_preflight
from robotrain_workloads.lerobot import dataset, dataset_preparation


class MixtureEpisodes:
    """The episodes of the dataset that a mixture's datasets were made into. Raise SystemExit with a sentence.

    :param names: of the datasets, in order.
    """

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self.names = names
        sizes = [dataset_preparation.read_source_size(root, index, len(names)) for index in range(len(names))]
        self.counts = [size[0] for size in sizes if size]
        """The episodes of each dataset."""
        if len(self.counts) != len(names):
            raise WorkFailed(f"{root / dataset.SIZES_FILE} does not say which episodes are of which dataset")
        self._owners = [index for index, count in enumerate(self.counts) for _ in range(count)]
        self._root = root

    def split(self, episodes: Iterable[int]) -> list[list[int]]:
        """Return the episodes of each dataset, in their order."""
        parts: list[list[int]] = [[] for _ in self.names]
        for episode in episodes:
            parts[self._owners[episode]].append(episode)
        return parts

    def order(self, chosen_episodes: Collection[int] | None, held_out_part: float) -> list[int] | None:
        """Return the episodes so that the last ones are of each dataset; None where those of LeRobot's order are.

        The first ones of a dataset and task stay first; all episodes of a bag stay together.
        """
        if not held_out_part:
            return None
        episodes = range(len(self._owners)) if chosen_episodes is None else chosen_episodes
        tasks = dict(dataset.read_first_tasks(self._root))
        bag_counts = dataset_preparation.read_bag_episodes(self._root)
        bags = [bag for bag, count in enumerate(bag_counts or [1] * len(self._owners)) for _ in range(count)]
        episodes_by_bag: dict[int, list[int]] = {}
        for episode in episodes:
            episodes_by_bag.setdefault(bags[episode], []).append(episode)
        groups: dict[tuple[int, str], list[list[int]]] = {}
        for bag_episodes in episodes_by_bag.values():
            group = self._owners[bag_episodes[0]], tasks.get(bag_episodes[0], "")
            groups.setdefault(group, []).append(bag_episodes)
        placed_bags = [
            ((index + 0.5) / len(group_bags) if index else 0.0, bag_episodes)
            for group_bags in groups.values()
            for index, bag_episodes in enumerate(group_bags)
        ]
        placed_bags.sort(key=lambda placed_bag: placed_bag[0])
        ordered_episodes = [episode for _, bag_episodes in placed_bags for episode in bag_episodes]
        held_out, usual_held_out = (
            dataset.select_last_episodes(tasks.items(), held_out_part, among)
            for among in (ordered_episodes, chosen_episodes)
        )
        is_usual = held_out == usual_held_out and not bag_counts  # of bags, more may be held out
        return None if is_usual else ordered_episodes

    def describe_split(self, episodes: Collection[int] | None, held_out_part: float) -> str:
        """Return how many episodes of each dataset are held out; end as preflight if one is not trained on at all."""
        first_tasks = [*dataset.read_first_tasks(self._root)]
        read_episodes = range(len(self._owners)) if episodes is None else episodes
        held_out = {*dataset.select_last_episodes(first_tasks, held_out_part, read_episodes)}
        texts = []
        for name, dataset_episodes in zip(self.names, self.split(read_episodes), strict=True):
            count = len(held_out.intersection(dataset_episodes))
            if count == len(dataset_episodes):
                is_split = f"held out by --val-split {held_out_part:g}; --no-val-split holds out none"
                reason = is_split if count else "left out"
                end_as_preflight(f"no episode of {name} is trained on: all are {reason}")
            texts.append(f"{count} of {len(dataset_episodes)} of {name}")
        return ", ".join(texts)
