"""The surroundings of a training loop: its log, its callbacks, its validation text."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Set
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from create_llm.data.windows import Windows
from create_llm.models.evaluation import Scores, evaluate
from create_llm.models.generation import Prompt, Sampling, TextStream
from create_llm.models.loaded import LoadedModel
from create_llm.runs.events import Event, EventLog, Level, RunWarning, TrainEnd
from create_llm.runs.run import RunFolder
from create_llm.training.callbacks import Answer, Callback, Warn
from create_llm.training.dispatch import Dispatcher, Dropped
from create_llm.training.randomness import derive_seed

_TRAIN_TOKENS = 32_768
"""How much of the training part is scored beside the validation part: enough to tell a gap of a
hundredth of a nat from one step to the next, since the windows are always the same ones."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What a run is scored on.

    Attributes:
        bytes: UTF-8 bytes of the validation part.
    """

    train: Windows
    val: Windows
    bytes: int
    batch_size: int

    def some_of_train(self) -> range:
        """Windows of the training part, evenly spread over it."""
        wanted = max(_TRAIN_TOKENS // self.train.size, 1)
        return range(0, len(self.train), -(-len(self.train) // wanted))


class Session:
    """One process's part of a run; the trainer's `Outside`."""

    def __init__(
        self,
        run: RunFolder,
        session: int,
        callbacks: list[tuple[str, Callback]],
        model: LoadedModel,
        texts: Texts,
        *,
        precision: str,
        prompt: Prompt | None,
        sampling: Sampling,
    ) -> None:
        """
        Args:
            prompt: what samples continue, or answer; None for a model that does not write.
        """
        self._run = run
        self._log = EventLog(run.events, session)
        self._text = TextLog(run.log)
        self._dispatcher = Dispatcher(callbacks, self._dropped)
        self._model = model
        self._texts = texts
        self._precision = precision
        self._prompt = prompt
        self._sampling = sampling
        self._step = 0

    @property
    def every_step(self) -> list[str]:
        return self._dispatcher.every_step

    def emit(self, event: Event) -> Set[Answer]:
        self._step = event.step
        if not isinstance(event, TrainEnd):
            self._write(event)
            return self._tell(event)
        try:
            return self._tell(event)
        finally:  # the last line, whatever callbacks have to say to it
            self._write(event)

    def _write(self, event: Event) -> None:
        if event.kept:
            self._log.append(event)
            self._text.event(event)

    def _tell(self, event: Event) -> Set[Answer]:
        answers = self._dispatcher.emit(event)
        if not isinstance(event, RunWarning):  # else two callbacks could talk for ever
            for answer in answers:
                if isinstance(answer, Warn):
                    self.warn(answer.message, answer.suggestion, answer.level)
        return answers

    def warn(self, message: str, suggestion: str | None = None, level: Level = "warning") -> None:
        self.emit(RunWarning(step=self._step, message=message, suggestion=suggestion, level=level))

    def score(self, between: Callable[[int, int], None]) -> Scores:
        texts, some = self._texts, self._texts.some_of_train()
        first, total = len(texts.val), len(texts.val) + len(some)
        score = partial(
            evaluate,
            self._model.module,
            self._model.objective,
            batch_size=texts.batch_size,
            device=self._model.device,
            precision=self._precision,
        )
        return Scores(
            val=score(texts.val, text_bytes=texts.bytes, between=lambda done: between(done, total)),
            train=score(
                texts.train,
                text_bytes=0,
                chosen=some,
                between=lambda done: between(first + done, total),
            ),
        )

    def sample(self, step: int, between: Callable[[], None]) -> tuple[str, str] | None:
        if self._prompt is None:
            return None
        seed = derive_seed(self._sampling.seed or 0, "sample", step)
        sampling = replace(self._sampling, seed=seed)
        self._model.module.eval()
        try:
            stream = TextStream(self._model, self._prompt, sampling, lambda text: None)
            for _ in stream:
                between()
        finally:
            self._model.module.train()
        return self._prompt.text, stream.result().text

    def keep(self, name: str, value: object) -> None:
        self._run.write_manifest({**self._run.manifest(), name: value})

    def failed(self, error: BaseException) -> None:
        """Keep the stack trace, which the terminal does not show."""
        self._text.write("".join(traceback.format_exception(error)))

    def close(self) -> None:
        self._log.close()
        self._text.close()

    def _dropped(self, dropped: Dropped) -> None:
        self._text.write(dropped.traceback)
        self.warn(
            f"callback '{dropped.name}' failed in {dropped.method} and was dropped: "
            f"{dropped.error}",
            "training goes on without it; train.log in the run's folder has the traceback",
        )


class TextLog:
    """train.log: one line an event, and stack traces, for people with a pager."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")

    def event(self, event: Event) -> None:
        fields = " ".join(
            f"{name}={json.dumps(value, ensure_ascii=False, default=str)}"
            for name, value in asdict(event).items()
        )
        self.write(f"{event.name} {fields}\n")

    def write(self, text: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._file.write(f"{now} {text}")
        self._file.flush()

    def close(self) -> None:
        self._file.close()
