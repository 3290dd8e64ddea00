"""A run of the harness: tasks by name, a model, the figures."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    simple_evaluate,
)
from lm_eval.tasks import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    TaskManager,
)
from lm_eval.utils import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    handle_non_serializable,
    make_table,
)

from create_llm.api import Model
from create_llm.errors import ConfigError, DataError, NetworkError, did_you_mean
from create_llm_lm_eval.model import CreateLLM


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is asked, and how.

    Attributes:
        tasks: names of the harness's tasks and groups, with wildcards; or paths of task files.
        include: a folder with task files of one's own, which can then be named.
        shots: solved examples before each question; None: as many as the task says.
        limit: questions of each task; None: all.
        batch_size: sequences to read at once; None: the default.
    """

    tasks: tuple[str, ...]
    include: Path | None = None
    shots: int | None = None
    limit: int | None = None
    batch_size: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What the harness found; `full` is all that it says of it."""

    full: Mapping[str, Any]

    def figures(self) -> dict[str, dict[str, object]]:
        """Task → metric → figure, by the harness's names ("acc,none"); not finite: None."""
        return {
            task: {name: _finite(value) for name, value in metrics.items()}
            for task, metrics in self.full["results"].items()
        }

    def table(self) -> str:
        tables = [make_table(self.full)]
        if self.full.get("groups"):
            tables.append(make_table(self.full, "groups"))
        return "\n".join(tables).rstrip()

    def json(self) -> str:
        # Task files may hold functions, and metrics numpy's numbers.
        return json.dumps(self.full, default=handle_non_serializable, ensure_ascii=False, indent=2)


def evaluate(model: Model, conditions: Conditions) -> Report:
    """Ask the model all questions; what the harness prints on the way goes to stderr.

    Raises:
        ConfigError: no task of that name, one that runs what the model writes, or a model that
            cannot be asked.
        DataError: a file that a task names is missing.
        NetworkError: a task's data set could not be fetched.
    """
    with contextlib.redirect_stdout(sys.stderr):
        include = None if conditions.include is None else str(conditions.include)
        manager = TaskManager(include_path=include)
        names = _found(conditions.tasks, manager)
        asked = CreateLLM(model, batch_size=conditions.batch_size)
        try:
            _refuse_unsafe(manager.load(names)["tasks"])
            full = simple_evaluate(
                model=asked,
                tasks=names,
                num_fewshot=conditions.shots,
                limit=conditions.limit,
                batch_size=asked.batch_size,
                device=str(asked.device),
                task_manager=manager,
                log_samples=False,
            )
        except ConnectionError as error:
            raise _not_fetched(error) from error
        except FileNotFoundError as error:
            raise DataError(
                f"a task names a file that is not there: {error}",
                fixes=("give absolute paths in task files", "or run where its paths begin: -C DIR"),
            ) from error
    return Report(full)


def _found(wanted: Sequence[str], manager: Any) -> list[str]:
    """Names of tasks, groups and tags, and absolute paths."""
    names: list[str] = []
    for name in wanted:
        path = Path(name)
        found = [name] if path.is_file() else manager.match_tasks([name])
        if not found:
            raise ConfigError(
                f"the harness has no task '{name}'",
                where="--tasks",
                fixes=(
                    *did_you_mean(name, manager.all_tasks),
                    "see what there is: lm-eval ls tasks",
                    "or give the path of a task file, or --include-path with a folder of them",
                ),
            )
        names.extend(found)
    return names


def _refuse_unsafe(tasks: Mapping[str, object]) -> None:
    unsafe = [name for name, task in tasks.items() if getattr(task, "UNSAFE_CODE", False)]
    if unsafe:
        raise ConfigError(
            f"these tasks run the programs that the model writes: {', '.join(unsafe)}",
            where="--tasks",
            fixes=(
                "leave them out",
                "or, in a sandbox: python -m create_llm_lm_eval … --confirm_run_unsafe_code",
            ),
        )


def _not_fetched(error: ConnectionError) -> NetworkError:
    return NetworkError(
        f"a task's data set could not be fetched: {error}",
        fixes=(
            "try again when the network is there: what was fetched before is kept",
            "or take a task with local data: --include-path FOLDER",
        ),
    )


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
