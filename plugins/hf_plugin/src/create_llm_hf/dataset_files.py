"""Which files of a dataset's repository are a split: as its card says, or else their names.

The rules are those of Hugging Face's `datasets` for repositories of files
(https://huggingface.co/docs/datasets/repository_structure). The files are read by the source `text`
and not by that library, which would bring 370 MB of packages for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from create_llm.errors import ConfigError, DataError, did_you_mean

_READ = re.compile(r"\.(parquet|jsonl|ndjson|json|csv|tsv|txt|md)(\.gz|\.zst)?$", re.IGNORECASE)
_NO_DATA = re.compile(
    r"(^|/)(\.|README|LICENSE|dataset_infos\.json|dataset_dict\.json|state\.json)", re.IGNORECASE
)
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
DEFAULT = "default"
PARQUET = "refs/convert/parquet"
"""The branch where the Hub keeps datasets that are made by a script, as Parquet files."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Subset → split → files, in the order in which they are read."""

    subsets: Mapping[str, Mapping[str, tuple[str, ...]]]

    def splits(self, dataset: str, subset: str | None) -> Mapping[str, tuple[str, ...]]:
        """
        Raises:
            ConfigError: there is no such subset; lists what there is.
            DataError: there are no files that can be read.
        """
        chosen = self._chosen(subset)
        if chosen in self.subsets:
            return self.subsets[chosen]
        names = list(self.subsets)
        choose = f"choose one: --set data.subset={names[0]}" if names else ""
        what = f"no subset '{subset}'" if subset else "several subsets, and none is chosen"
        if not names:
            raise _without_files(dataset)
        raise ConfigError(
            f"{dataset} has {what}",
            where="data.subset",
            fixes=(*did_you_mean(chosen, names), choose, f"there are: {', '.join(names[:20])}"),
        )

    def _chosen(self, subset: str | None) -> str:
        only = next(iter(self.subsets)) if len(self.subsets) == 1 else DEFAULT
        return subset or only


def layout_of(files: Sequence[str], card: Mapping[str, Any]) -> Layout:
    """
    Args:
        files: all paths of the repository.
        card: the metadata at the head of its README.md.
    """
    data = sorted(path for path in files if _READ.search(path) and not _NO_DATA.search(path))
    said = card.get("configs")
    configs = [entry for entry in said if isinstance(entry, dict)] if isinstance(said, list) else []
    described = {_name(entry): _described(entry, data) for entry in configs}
    default = next((_name(entry) for entry in configs if entry.get("default") is True), None)
    if default is not None and DEFAULT not in described:
        described[DEFAULT] = described[default]
    described = {name: splits for name, splits in described.items() if splits}
    if described:
        return Layout(described)
    splits = _by_name(data)
    return Layout({DEFAULT: splits} if splits else {})


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("config_name", DEFAULT))


def _described(entry: Mapping[str, Any], data: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The splits of one configuration; `data_files` is a pattern, a list of them, or a list of
    splits with theirs."""
    folder = str(entry.get("data_dir", "")).strip("/")
    inside = [path for path in data if not folder or path.startswith(f"{folder}/")]
    patterns = entry.get("data_files")
    if patterns is None:
        return _by_name(inside)
    given = patterns if isinstance(patterns, list) else [patterns]
    splits: dict[str, tuple[str, ...]] = {}
    for each in given:
        told = each if isinstance(each, dict) else {"split": "train", "path": each}
        found = _matching(told.get("path"), folder, inside)
        if found:
            split = str(told.get("split", "train"))
            splits[split] = (*splits.get(split, ()), *found)
    return splits


def _matching(patterns: object, folder: str, data: Sequence[str]) -> tuple[str, ...]:
    wanted = patterns if isinstance(patterns, list) else [patterns] if patterns else []
    full = [f"{folder}/{pattern}" if folder else str(pattern) for pattern in wanted]
    return tuple(path for path in data if any(_fits(path, pattern) for pattern in full))


def _fits(path: str, pattern: str) -> bool:
    """As the library's patterns: ** for any folders, also none."""
    return fnmatchcase(path, pattern) or fnmatchcase(path, pattern.replace("**/", ""))


def _by_name(data: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Splits by the words in the paths; what has none of them is for training."""
    splits: dict[str, tuple[str, ...]] = {}
    for path in data:
        split = _split_in(path) or "train"
        splits[split] = (*splits.get(split, ()), path)
    return splits


def _split_in(path: str) -> str | None:
    """The last word of the path that names a split."""
    words = re.split(r"[^a-z]+", path.lower())
    return next(
        (split for word in reversed(words) for split, names in _SPLITS.items() if word in names),
        None,
    )


def _without_files(dataset: str) -> DataError:
    return DataError(
        f"{dataset} holds no files that can be read: Parquet, JSON, CSV or text",
        where="data.train_path",
        fixes=(
            "a dataset that is made by a script is never run here; the Hub may keep it as "
            f"Parquet: {dataset}@{PARQUET}",
            "or look for a copy of it in one of those forms",
        ),
    )
