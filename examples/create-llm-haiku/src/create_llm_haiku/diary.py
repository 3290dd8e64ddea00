"""A callback: the diary of a run, as Markdown."""

from pathlib import Path

from create_llm.runs.events import EvalEnd, SampleGenerated, TrainEnd, TrainStart
from create_llm.training.callbacks import Callback


class Diary(Callback):
    """Writes down how the model scores and what it writes: diary.md, in the run's folder."""

    _path: Path

    def __init__(self, config: None) -> None:
        """There is nothing to configure."""

    def on_train_start(self, event: TrainStart) -> None:
        self._path = Path(event.folder) / "diary.md"
        self._write(f"# {event.run}\n\n{event.parameters:,} parameters, from step {event.step}.")

    def on_eval_end(self, event: EvalEnd) -> None:
        best = ", the best so far" if event.best else ""
        self._write(f"After step {event.step}: validation loss {event.val_loss:.3f}{best}.")

    def on_sample(self, event: SampleGenerated) -> None:
        lines = f"{event.prompt}{event.text}".splitlines()
        self._write("\n".join(f"> {line}" for line in lines))

    def on_train_end(self, event: TrainEnd) -> None:
        self._write(f"The run is {event.status}, after {event.seconds:.0f} seconds.")

    def _write(self, paragraph: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(paragraph + "\n\n")
