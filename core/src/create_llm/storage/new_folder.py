"""A new folder of text files: whole, or not there at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def is_free(folder: Path) -> bool:
    """Whether nothing is there yet, or an empty folder."""
    if folder.is_symlink():
        return False
    return not folder.exists() or (folder.is_dir() and next(folder.iterdir(), None) is None)


def create_folder(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Write `files` (path → text) into a free `folder`; returns their paths, sorted.

    Everything is written beside `folder` first and renamed at the end, so that neither an error
    nor an interruption leaves half of it.

    Raises:
        OSError: the disk is full, or nobody may write there.
    """
    staging = folder.with_name(f".tmp-new-{os.getpid()}")
    try:
        for path, text in files.items():
            file = staging / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        if folder.exists():
            folder.rmdir()  # it is empty; Windows renames onto nothing
        staging.rename(folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return sorted(files)
