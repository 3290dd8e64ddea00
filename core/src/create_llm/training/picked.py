"""A run to work on, and what the choice of it depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from create_llm.config import Config
from create_llm.config.hardware import Hardware
from create_llm.project.folder import Project
from create_llm.runs.again import rerun_command
from create_llm.runs.run import RunFolder, runs_of
from create_llm.training.initial import InitialModel, initial_identity
from create_llm.training.job import Ask


@dataclass(frozen=True, slots=True)
class Picked:
    """The run to work on.

    Attributes:
        step: to continue from; None: a new run; 0: one that went back to its beginning.
        seen: the steps that had a checkpoint, damaged or not, when the run was picked.
        deadline: when the run ends at the latest (seconds of `time.monotonic`), where that was
            settled by an earlier session of this process.
    """

    run: RunFolder
    step: int | None
    seen: tuple[int, ...] = ()
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Chooser:
    """What the choice depends on.

    Attributes:
        resume: "auto" continues the newest unfinished run if its configuration is the same,
            "never" starts anew, anything else is the id of a run.
        control_tokens: what the objective adds to the tokenizer.
        ask: asks a person; None where there is nobody to ask.
        notice: hears what a person should know: of damaged checkpoints, of a run that was killed.
        initial: what a new run begins with; None: random weights.
        command: the command line, for advice.
    """

    project: Project
    config: Config
    hardware: Hardware
    resume: str = "auto"
    control_tokens: tuple[str, ...] = ()
    ask: Ask | None = None
    notice: Callable[[str], None] = lambda message: None
    initial: InitialModel | None = None
    command: tuple[str, ...] = ()

    @property
    def anew(self) -> str:
        """What to do where a run cannot go on."""
        return f"start a new run: {rerun_command(self.command, {})}"

    def identity(self) -> dict[str, object]:
        """What is known of it before any work: all but the hashes of the text and the tokenizer."""
        return {**self.config.identity(), **initial_identity(self.initial)}

    @property
    def logs(self) -> Path:
        return self.project.root / self.config.logging.log_dir

    def runs(self) -> list[RunFolder]:
        return list(runs_of(self.logs, self.project.checkpoints))
