"""A model's folder: config.json and safetensors, whole or in shards."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from create_llm.errors import ConfigError, DataError

if TYPE_CHECKING:
    from torch import Tensor

CONFIG, INDEX, WHOLE = "config.json", "model.safetensors.index.json", "model.safetensors"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_AGAIN = ("fetch the model again", "or copy the whole folder again")


def weight_files(folder: Path) -> list[Path]:
    """The files of the weights, those of an index if there is one; empty where there are none."""
    if (folder / INDEX).is_file():
        names = read_json(folder / INDEX).get("weight_map")
        values = set(names.values()) if isinstance(names, dict) else set()
        if not values or not all(isinstance(name, str) for name in values):
            raise DataError("the index names no files", where=str(folder / INDEX), fixes=_AGAIN)
        return [folder / Path(name).name for name in sorted(values)]
    return [folder / WHOLE] if (folder / WHOLE).is_file() else []


def has_pickles(folder: Path) -> bool:
    """Whether there are files as torch.save writes weights."""
    return any(file for pattern in _PICKLES for file in folder.glob(pattern))


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All weights, by their names in the files; views of the files, where the system allows it.

    Raises:
        DataError: there are none, or only as pickles; or a file is missing or damaged.
    """
    from create_llm.storage.tensors import load_tensors

    files = weight_files(folder)
    if not files:
        raise _without_weights(folder)
    tensors: dict[str, Tensor] = {}
    for path in files:
        if not path.is_file():
            raise DataError(f"{path.name} is missing", where=str(folder), fixes=_AGAIN)
        tensors |= load_tensors(path)
    return tensors


def refuse_links_out(folder: Path) -> None:
    """What a folder from elsewhere brings goes into the bundle, and from there to other people.

    The Hub's cache keeps the files of a snapshot in blobs/ beside snapshots/.

    Raises:
        DataError: a file of it lies somewhere else on this machine.
    """
    real = folder.resolve()
    homes = [real]
    if real.parent.name == "snapshots":
        homes.append(real.parent.parent / "blobs")
    for path in sorted(folder.iterdir()):
        target = Path(os.path.realpath(path))  # resolve() fails where links go round
        if not path.is_dir() and not any(target.is_relative_to(home) for home in homes):
            raise DataError(
                f"{path.name} is a link to a file outside of the folder",
                where=str(folder),
                fixes=("put the file itself in its place, if you know it", "or remove the link"),
            )


def read_json(path: Path) -> dict[str, Any]:
    """
    Raises:
        ConfigError: there is no such file.
        DataError: it is not a JSON object, or nested without end.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text)
        if "\\u" in text:  # half of a pair of surrogates cannot be written again
            json.dumps(values, ensure_ascii=False).encode()
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no {path.name}: this is no model in Hugging Face's form",
            where=str(path.parent),
            fixes=("check the name of the folder", "or of the repository: hf:ORG/NAME"),
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"the file is not JSON: {error}", where=str(path), fixes=_AGAIN) from error
    if not isinstance(values, dict):
        raise DataError("the file is not a JSON object", where=str(path), fixes=_AGAIN)
    return values


def _without_weights(folder: Path) -> DataError:
    if has_pickles(folder):
        return DataError(
            "the weights are pickles, which can run code when they are read; they are not",
            where=str(folder),
            fixes=(
                "look for a repository or a revision with .safetensors files",
                "or convert them where you trust them: "
                "https://huggingface.co/spaces/safetensors/convert",
            ),
        )
    return DataError("there are no .safetensors files in it", where=str(folder), fixes=_AGAIN)
