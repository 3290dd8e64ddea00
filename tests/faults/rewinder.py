"""A callback that sends a run back once: at step 5 to step 2, to learn at half the rate.

`FAULTS_REWIND=early` makes the mistake of saying that all is done before it is.
"""

from __future__ import annotations

import os
from pathlib import Path

from create_llm.runs.events import StepEnd, TrainStart
from create_llm.runs.run import RunFolder
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.training import remedies
from create_llm.training.callbacks import Callback, Overrides, Retry

MUTANT = "FAULTS_REWIND"
_PLUGIN = """\
from create_llm import hookimpl

@hookimpl
def register_callbacks(register):
    register("rewinder", "tests.faults.rewinder:make", summary="Sends a run back once.")
"""


def install_rewinder(folder: Path) -> Path:
    """Lay out a distribution with this plugin in a folder for PYTHONPATH."""
    info = folder / "create_llm_rewinder-1.0.dist-info"
    info.mkdir(parents=True)
    name = "Metadata-Version: 2.1\nName: create-llm-rewinder\nVersion: 1.0\n"
    (info / "METADATA").write_text(name)
    (info / "entry_points.txt").write_text("[create_llm.plugins]\nrewinder = create_llm_rewinder\n")
    (folder / "create_llm_rewinder.py").write_text(_PLUGIN)
    return folder


class Rewinder(Callback):
    def __init__(self) -> None:
        self._remedies = 0

    def on_train_start(self, event: TrainStart) -> None:
        self._remedies = event.remedies

    def on_step_end(self, event: StepEnd) -> Retry | None:
        if event.step == 5 and self._remedies == 0:
            return Retry("on purpose", 2, Overrides(learning_rate=0.5))
        return None


def make(config: object) -> Rewinder:
    if os.environ.get(MUTANT) == "early":
        remedies.finish_rewind = _too_early
    return Rewinder()


def _too_early(run: RunFolder, store: CheckpointStore) -> None:
    manifest = run.manifest()
    to = manifest.pop("rewind")
    run.write_manifest(manifest)
    store.forget_after(to)
