"""The exporter contract: a model in the form that another program reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from create_llm.models.bundle import ModelBundle
from create_llm.storage.writers import FolderWriter

FOLDER = "{folder}"
"""What stands in an exporter's advice for the folder of the export, which gets its name only
afterwards; core puts the path there, as it is seen from the current folder."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one comparison of an export with its bundle came to.

    Attributes:
        what: was compared: "token ids", "greedy text".
        same: whether the two agree, as far as the form promises; None where it promises nothing
            of the kind and `told` is there to be read.
        told: the figures, in words: "equal on 40 strings".
        near: `same` holds for what was rounded: not to the last, and as near as that has to come.
    """

    what: str
    same: bool | None
    told: str
    near: bool = False


class Exporter(Protocol):
    """Built as `exporter(config)`."""

    def check(self, bundle: ModelBundle) -> None:
        """Whether the form can carry this model, whose files were verified; told from the small
        ones, without torch.

        Raises:
            ConfigError: it cannot, or not exactly.
        """
        ...

    def export(self, bundle: ModelBundle, writer: FolderWriter) -> tuple[str, ...]:
        """Write the files of a model that was checked; nothing is there before, and all of them
        or none afterwards.

        Returns:
            What to do with them next: commands and words, a line each, with `FOLDER` where the
            path of the folder belongs.

        Raises:
            ConfigError: the form cannot carry the weights, or not exactly.
            PluginError: a part of the model, or a library, is not installed.
        """
        ...

    def test(self, bundle: ModelBundle, folder: Path) -> Sequence[Finding]:
        """Load what was written in the program that it is for, and compare the two models.

        Raises:
            PluginError: that program is not installed.
        """
        ...
