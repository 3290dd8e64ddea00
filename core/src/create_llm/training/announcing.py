"""The first event of a session, and what a person should know from the start."""

from __future__ import annotations

from create_llm.models.architecture import count_parameters
from create_llm.runs.events import TrainStart
from create_llm.training import words
from create_llm.training.assemble import Assembled
from create_llm.training.code import changed_code, code_of
from create_llm.training.frozen import Frozen
from create_llm.training.job import Job
from create_llm.training.picked import Picked
from create_llm.training.remedies import remedies_of, went_back
from create_llm.training.session import Session
from create_llm.training.trainer import Trainer

_FEW = 20
"""Steps from which a model can have learnt a little."""


def _train_start(job: Job, picked: Picked, trainer: Trainer, frozen: Frozen) -> TrainStart:
    training = job.config.training
    per_step = training.batch_size * training.gradient_accumulation_steps
    return TrainStart(
        step=trainer.state.step,
        run=picked.run.name,
        folder=str(picked.run.path),
        model=job.config.model.name,
        parameters=count_parameters(job.architecture, job.model_options, job.vocab_size),
        total_steps=trainer.settings.total_steps,
        steps_per_epoch=trainer.epochs.steps,
        tokens_per_step=per_step * job.sequence_length,
        train_tokens=job.data.train.tokens,
        val_tokens=job.data.val.tokens,
        device=frozen.device,
        precision=frozen.precision,
        optimizer=training.optimizer,
        seed=training.seed,
        resumed_from=picked.step,
        config=job.config.as_dict(),
        vocab_size=job.vocab_size,
        remedies=len(remedies_of(picked.run)),
        learning_rate=trainer.parts.schedule.peak,
        gradient_clip=trainer.settings.step.gradient_clip,
    )


def announce(job: Job, picked: Picked, run: Assembled) -> None:
    """The first event of a session, and what a person should know from the start."""
    run.trainer.emit(_train_start(job, picked, run.trainer, run.frozen))
    if job.initial is not None:
        verb = "began" if picked.step else "begins"
        run.session.warn(f"this run {verb} with {job.initial.origin}", level="note")
    for remedy in remedies_of(picked.run)[-1:]:
        run.session.warn(went_back(remedy), level="note")
    before = {} if picked.step is None else picked.run.manifest().get("code", {})
    changed = changed_code(before, code_of(job)) if before else []
    if changed:
        run.session.warn(
            f"the code of {', '.join(changed)} has changed since this run began, and the run goes "
            "on with the new one",
            "to begin anew: llm train --resume never",
        )
    _warn(job, run.session, run.trainer, new=picked.step is None)


def _warn(job: Job, session: Session, trainer: Trainer, *, new: bool) -> None:
    """Say at the start what a person would otherwise find out late."""
    schedule, training = trainer.parts.schedule, job.config.training
    if new and schedule.warmup < training.warmup_steps:
        session.warn(words.shorter_warmup(schedule), level="note")
    if trainer.settings.set_by == "max_seconds" and trainer.settings.total_steps < _FEW:
        session.warn(
            f"no more than {trainer.settings.total_steps} steps fit into what is left of "
            f"training.max_seconds = {training.max_seconds:g}, which counts from the command's "
            "start: reading the text and training the tokenizer come first",
            "run the same command again, now that they are there, or give it more time",
        )
    if session.every_step:
        session.warn(
            f"{', '.join(session.every_step)} wants every step: training waits for the device "
            "each time"
        )
