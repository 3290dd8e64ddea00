"""A dataset's files in data/hf of a project.

data/hf/
  .gitignore      nothing in here belongs into a repository
  <key>/          key: from the dataset, its revision and subset
    dataset.json  the commit, and the files of each split with size and hash
    files/…       what was downloaded, each file by its place in the repository
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from create_llm.errors import DataError
from create_llm.storage.durable import Storage
from create_llm_hf.dataset_files import layout_of
from create_llm_hf.source_config import HuggingFaceDataConfig, dataset_name

FOLDER = Path("data", "hf")
_RECORD, _FILES = "dataset.json", "files"
_IGNORE_ALL = b"# downloaded by llm, as llm.toml says\n*\n"


class DatasetFile(BaseModel):
    """A file of a dataset; `hash` is the Hub's name of its content."""

    model_config = ConfigDict(frozen=True)

    path: str
    size: int
    hash: str


class Record(BaseModel):
    """dataset.json: the state of the dataset that this project uses."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    dataset: str
    commit: str
    splits: dict[str, tuple[DatasetFile, ...]]


@dataclass(frozen=True)
class DatasetCache:
    """What is here of a dataset; asks the Hub once which files there are, then only for those."""

    config: HuggingFaceDataConfig
    root: Path

    @property
    def folder(self) -> Path:
        config = self.config
        key = json.dumps([*dataset_name(config.train_path), config.subset])
        return self.root / FOLDER / hashlib.sha256(key.encode()).hexdigest()[:16]

    def record(self) -> Record:
        """
        Raises:
            ConfigError: there is no such dataset, revision or subset.
            DataError: it holds no files that can be read.
            NetworkError, CredentialsError: the Hub is out of reach.
        """
        path = self.folder / _RECORD
        if path.is_file():
            return _read(path)
        record = self._asked()
        storage = Storage()
        storage.make_folder(self.folder)
        storage.replace_file(self.root / FOLDER / ".gitignore", _IGNORE_ALL)
        storage.replace_file(path, record.model_dump_json(indent=2).encode())
        return record

    def file(self, file: DatasetFile, record: Record) -> Path:
        """A file on this machine, downloaded if it is not here."""
        return self.fetch(file, record, self.folder / _FILES)

    def fetch(self, file: DatasetFile, record: Record, into: Path) -> Path:
        """A file in a folder of the caller's; what is there already has to have the right size."""
        from create_llm_hf.hub import found_token, open_hub

        path = into / file.path
        if path.is_file() and path.stat().st_size == file.size:
            return path
        Storage().ensure_free(path, file.size, "the download")
        hub = open_hub(found_token(self.root))
        hub.patiently(
            lambda: hub.api.hf_hub_download(
                record.dataset,
                file.path,
                repo_type="dataset",
                revision=record.commit,
                local_dir=into,
            ),
            f"{file.path} of {record.dataset} cannot be fetched",
        )
        if not path.is_file() or path.stat().st_size != file.size:
            raise DataError(
                "what was downloaded is not as long as the Hub says",
                where=str(path),
                fixes=(f"remove {self.folder}, and run the same command again",),
            )
        return path

    def _asked(self) -> Record:
        from create_llm_hf.hub import found_token, open_hub

        name, revision = dataset_name(self.config.train_path)
        hub, what = open_hub(found_token(self.root)), f"the dataset {name} cannot be fetched"
        info = hub.patiently(
            lambda: hub.api.dataset_info(name, revision=revision, files_metadata=True), what
        )
        found = {
            file.rfilename: DatasetFile(
                path=file.rfilename,
                size=file.size or 0,
                hash=(file.lfs.sha256 if file.lfs else file.blob_id) or "",
            )
            for file in info.siblings or ()
            if _is_inside(file.rfilename)
        }
        commit = str(info.sha)
        layout = layout_of(list(found), self._card(name, commit) if "README.md" in found else {})
        splits = layout.splits(name, self.config.subset)
        return Record(
            dataset=name,
            commit=commit,
            splits={split: tuple(found[path] for path in paths) for split, paths in splits.items()},
        )

    def _card(self, name: str, commit: str) -> Mapping[str, object]:
        """The metadata of the dataset's card; nothing where it is none."""
        import yaml  # type: ignore[import-untyped]
        from huggingface_hub.repocard import metadata_load

        from create_llm_hf.hub import found_token, open_hub

        hub = open_hub(found_token(self.root))
        path = hub.patiently(
            lambda: hub.api.hf_hub_download(
                name, "README.md", repo_type="dataset", revision=commit, local_dir=self.folder
            ),
            f"the card of {name} cannot be fetched",
        )
        try:
            return metadata_load(path) or {}
        except (yaml.YAMLError, ValueError):
            return {}


def _is_inside(path: str) -> bool:
    """Whether a path of the repository stays in the folder that it is put into."""
    parts = PurePosixPath(path).parts
    return not PureWindowsPath(path).anchor and path[:1] != "/" and ".." not in parts


def _read(path: Path) -> Record:
    try:
        return Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(
            f"what is known of the dataset cannot be read: {error.errors()[0]['msg']}",
            where=str(path),
            fixes=(f"remove {path.parent}: it is fetched again",),
        ) from error
