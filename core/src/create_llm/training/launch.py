"""From a configuration to a finished run: whatever is missing is done first."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from create_llm.config import Config
from create_llm.config.hardware import detect
from create_llm.errors import ConfigError, CreateLLMError, DivergedError, StorageError
from create_llm.kernel.plugins import Plugins
from create_llm.models.architecture import count_parameters
from create_llm.models.chosen import objective_of_run
from create_llm.project.folder import Project
from create_llm.runs.control import Control
from create_llm.runs.report import disk_bytes
from create_llm.training.announcing import announce
from create_llm.training.assemble import Assembled, assemble
from create_llm.training.callbacks import Retry
from create_llm.training.course import Course
from create_llm.training.differences import refuse_if_another
from create_llm.training.finish import Ended, end_run, tell_end
from create_llm.training.job import Job, Surroundings, prepare_job
from create_llm.training.machine import announce_machine, record_machine
from create_llm.training.memory import release_memory
from create_llm.training.pick_run import claim_run, find_unfinished
from create_llm.training.picked import Chooser, Picked
from create_llm.training.remedies import follow, go_back
from create_llm.training.stopping import Stop, StopWatch
from create_llm.training.summary import summarize
from create_llm.training.trainer import Trainer


def train(project: Project, config: Config, plugins: Plugins, around: Surroundings) -> Ended:
    """Train a model, from whatever state the project is in.

    Raises:
        CreateLLMError: what a person can cause; nothing saved is lost by it.
        KeyboardInterrupt: a signal came before the loop; what was finished until then is kept.
    """
    chooser = _chooser(project, config, plugins, around)
    found = find_unfinished(chooser)
    ended: list[Ended] = []
    try:
        with claim_run(chooser, found) as picked:
            _run(partial(_prepare, chooser, plugins, around), picked, around, ended.append)
    except KeyboardInterrupt:
        # The run's end was on disk, and only the closing of its files was cut short.
        if not ended:
            raise
    return ended[0]


def _prepare(chooser: Chooser, plugins: Plugins, around: Surroundings, picked: Picked) -> Job:
    """Make what is missing; whoever goes on with a run needs what that began with."""
    if around.initial is not None and not picked.step:
        around.initial.check()
    saved = disk_bytes(picked.run.checkpoints)
    job = prepare_job(chooser.project, chooser.config, plugins, around, saved)
    refuse_if_another(chooser, picked, job.identity())
    if (note := _note_on_answers(job)) is not None:
        around.notice(note)
    return job


def _note_on_answers(job: Job) -> str | None:
    """What who chose to train on answers may not expect."""
    if not job.objective.learns_answers:
        return None
    name = job.chosen_objective.part.name
    if not job.data.conversations:
        return (
            f"the objective '{name}' learns the answers in conversations, and this text holds "
            "none: all of it counts, as without that objective"
        )
    if job.config.data.chat_template is None and job.template is not None:
        return (
            "no data.chat_template is set: conversations are written out by the template "
            f"'{job.template.name}'; see the others: llm config explain data.chat_template"
        )
    return None


def _chooser(project: Project, config: Config, plugins: Plugins, around: Surroundings) -> Chooser:
    """The command line's word; where it leaves the choice, llm.toml's."""
    resume = around.resume
    if resume == "auto":
        resume = config.checkpoints.resume_from_checkpoint or "auto"
    return Chooser(
        project,
        config,
        detect(with_gpu=True),
        resume,
        objective_of_run(config, plugins.registry).control_tokens,
        around.ask,
        around.notice,
        around.initial,
        around.command,
    )


def _run(
    prepare: Callable[[Picked], Job],
    picked: Picked,
    around: Surroundings,
    ended: Callable[[Ended], None],
) -> None:
    """The sessions of a run: one, and another each time that a callback asks to go back.

    What fails before the first one began leaves the run as it was.
    """
    following: _Following | None = _Following(picked, picked.run.summary())
    try:
        job, control = prepare(picked), Control(picked.run.path)
        control.clear()
        with StopWatch(control, heeding=job.course is None) as watch:
            while following is not None:
                with assemble(job, following.picked, around, watch) as run:
                    _refuse_if_beyond(run, following.picked)
                    record_machine(picked.run)
                    following.began = True
                    following = _train(job, following.picked, run, around, ended)
                del run  # the next session needs its memory
                release_memory()
    finally:
        if following is not None and not following.began:
            following.leave()


@dataclass(slots=True)
class _Following:
    """A session to come.

    Attributes:
        left: the summary that the run has where this session fails before it begins.
    """

    picked: Picked
    left: dict[str, Any]
    began: bool = False

    def leave(self) -> None:
        # Where the disk is full, this fails as well: the first error is the one to tell.
        with contextlib.suppress(OSError, StorageError):
            if self.left:
                self.picked.run.write_summary(self.left)
            elif self.picked.step is None:
                self.picked.run.forget()


def _train(
    job: Job,
    picked: Picked,
    run: Assembled,
    around: Surroundings,
    ended: Callable[[Ended], None],
) -> _Following | None:
    """Run the loop and whatever the end of it asks for, also when it fails; returns the session
    that follows at once, where a callback asked to go back."""
    trainer = run.trainer
    try:
        announce(job, picked, run)
        parameters = count_parameters(job.architecture, job.model_options, job.vocab_size)
        announce_machine(picked.run, run.session, job.hardware, parameters)
        stop = trainer.run()
        if stop.retry is not None:
            following = _go_back(picked, trainer, stop.retry, job.course, around)
            tell_end(run, stop)
            return _Following(following, summarize(job, run, replace(stop, status="failed"), None))
        trainer.parts.watch.finishing()
        ended(end_run(job, run, stop))
        return None
    except BaseException as error:
        status = "diverged" if isinstance(error, DivergedError) else "failed"
        run.session.failed(error)
        # Where the disk is full, the summary fails as well: the first error is the one to tell.
        with contextlib.suppress(OSError, StorageError):
            end_run(job, run, Stop(status, type(error).__name__), error=_words(error))
        raise


def _go_back(
    picked: Picked, trainer: Trainer, retry: Retry, course: Course | None, around: Surroundings
) -> Picked:
    """Where the run goes on; the loop is over, and writes nothing more."""
    step, divided = trainer.state.step, trainer.step.divided
    divisible = trainer.settings.step.batch_size
    if course is not None:
        follow(picked.run, course.held_from(step), divided=divided, divisible=divisible)
    else:
        step = go_back(
            picked.run,
            trainer.parts.store,
            retry,
            at_step=step,
            divided=divided,
            divisible=divisible,
            damaged=lambda error: around.notice(f"{error.what}; not used"),
        )
    trainer.parts.watch.gone_back()
    return replace(picked, step=step, deadline=trainer.settings.deadline)


def _refuse_if_beyond(run: Assembled, picked: Picked) -> None:
    """A run that is longer already than it is asked to become would look complete."""
    total = run.trainer.settings.total_steps
    if picked.step is not None and picked.step > total:
        raise ConfigError(
            f"run {picked.run.name} has taken {picked.step:,} steps already, more than the "
            f"{total:,} that are asked for",
            where="training.max_steps, training.epochs",
            fixes=(
                f"let it go on to more steps: --max-steps {2 * picked.step}",
                "start a new run: llm train --resume never",
            ),
        )


def _words(error: BaseException) -> str:
    return error.what if isinstance(error, CreateLLMError) else f"{type(error).__name__}: {error}"
