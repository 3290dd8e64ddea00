"""Put a run together: manifest, model, optimizer, data order, callbacks, trainer."""

from __future__ import annotations

import contextlib
import math
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

import psutil
import torch

from create_llm.config.resolved import Selected
from create_llm.data.windows import Windows
from create_llm.errors import DataError, PluginError
from create_llm.models.generation import Sampling
from create_llm.runs.run import RunFolder
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage
from create_llm.training.asking import sample_prompt
from create_llm.training.blocks import choose_compile, compile_blocks, recompute
from create_llm.training.callbacks import Callback, Overrides
from create_llm.training.checkpointing import Model, TrainState, read_checkpoint
from create_llm.training.frozen import Frozen, write_manifest
from create_llm.training.initial import InitialModel
from create_llm.training.job import Job, Surroundings, optimizer_settings
from create_llm.training.memory import keep_freed_memory, memory_in_use
from create_llm.training.mixing import batches_of, tell_passes
from create_llm.training.optimizers import build_updates
from create_llm.training.parts import LoopSettings, Parts
from create_llm.training.picked import Picked
from create_llm.training.planned import Rehearsals, plan_of_run
from create_llm.training.randomness import derive_seed
from create_llm.training.remedies import combined, remedies_of
from create_llm.training.schedule import Schedule
from create_llm.training.session import Session, Texts
from create_llm.training.speed import steps_until
from create_llm.training.step import StepSettings
from create_llm.training.stopping import Abandoned, StopWatch
from create_llm.training.trainer import Trainer
from create_llm.training.wrapped import WrappedModel
from create_llm.world import SingleProcess


@dataclass(frozen=True, slots=True)
class Assembled:
    """A run that is ready to go."""

    run: RunFolder
    frozen: Frozen
    trainer: Trainer
    session: Session
    model: Model


@contextlib.contextmanager
def assemble(
    job: Job, picked: Picked, around: Surroundings, watch: StopWatch
) -> Iterator[Assembled]:
    """Build everything, and close the run's files afterwards."""
    frozen, number = write_manifest(job, picked, around)
    if picked.step is None:
        tell_passes(job, around.notice)
    torch.set_num_threads(frozen.threads)  # another number gives other last bits
    device = torch.device(frozen.device)
    if device.type == "cpu":
        keep_freed_memory()
    resident = memory_in_use(device)
    model = build_model(job, device, None if picked.step else job.initial)
    trainer, session = _build_trainer(job, picked, model, watch, frozen, number)
    try:
        if picked.step:
            looked = int(picked.run.manifest().get("looked", 0))
            _restore(trainer, picked.step, looked, around.notice)
        # Asked to pause this early, the loop ends before its first step.
        with contextlib.suppress(Abandoned):
            rehearse = Rehearsals(trainer.rehearse)
            frozen = _compile(job, picked, frozen, trainer, rehearse)
            frozen, trainer = _fit_into_time(job, picked, frozen, trainer, rehearse)
            if picked.step is None:
                plan = plan_of_run(job, trainer, resident, rehearse)
                session.keep("planned", asdict(plan))
        # Until here a signal ends the start; from here on the loop answers it.
        watch.listen()
        yield Assembled(picked.run, frozen, trainer, session, model)
    finally:
        trainer.close()
        session.close()


def build_model(job: Job, device: torch.device, initial: InitialModel | None = None) -> Model:
    # Not on the meta device: buffers, which `init` does not fill, would come out of it empty.
    with device:
        module = job.architecture.build(job.model_options, job.vocab_size)
    if initial is None:
        job.architecture.init(module, derive_seed(job.config.training.seed, "init"))
    else:
        initial.fill(module, job.architecture)
    if job.config.training.gradient_checkpointing:
        recompute(job.architecture.blocks(module))
    return Model(job.architecture, module, job.model_options, job.vocab_size)


def _compile(
    job: Job, picked: Picked, frozen: Frozen, trainer: Trainer, rehearse: Rehearsals
) -> Frozen:
    """Compile the model's blocks if that was decided, or decide it at the run's start."""
    blocks = job.architecture.blocks(trainer.parts.model.module)
    if picked.step is not None:
        if frozen.compiled:
            compile_blocks(blocks)
        return frozen
    training, steps = job.config.training, trainer.settings.total_steps
    chosen = choose_compile(
        training.compile, blocks, frozen.device, steps, rehearse, training.max_seconds
    )
    frozen = replace(frozen, compiled=chosen.on, compile_reason=chosen.reason)
    trainer.parts.outside.keep("frozen", asdict(frozen))
    return frozen


def _fit_into_time(
    job: Job, picked: Picked, frozen: Frozen, trainer: Trainer, rehearse: Rehearsals
) -> tuple[Frozen, Trainer]:
    """Shorten a new run to the steps that its time is enough for; a resumed one is as it was."""
    seconds = job.config.training.max_seconds
    if seconds is None or picked.step is not None:
        return frozen, trainer
    began = psutil.Process().create_time()
    deadline = time.monotonic() + began + seconds - time.time()
    settings, parts = trainer.settings, trainer.parts
    fitting = steps_until(deadline, rehearse)
    steps = min(settings.total_steps, fitting)
    set_by = "max_seconds" if fitting < settings.total_steps else settings.set_by
    frozen = replace(frozen, fitted_steps=steps)
    parts.outside.keep("frozen", asdict(frozen))
    trainer.close()
    schedule = schedule_of(job, steps)
    settings = replace(settings, total_steps=steps, set_by=set_by, deadline=deadline)
    return frozen, Trainer(settings, replace(parts, schedule=schedule), TrainState())


def _build_trainer(
    job: Job, picked: Picked, model: Model, watch: StopWatch, frozen: Frozen, number: int
) -> tuple[Trainer, Session]:
    run, callbacks = picked.run, _build_callbacks(job)
    windows = job.windows(job.data.train_streams, job.config.data.stride)
    every_step = any(callback.every_step for _, callback in callbacks)
    manifest = run.manifest()
    divided, command = int(manifest.get("divided", 1)), tuple(manifest["command"])
    settings = loop_settings(job, windows, frozen, divided, every_step=every_step)
    remedies = remedies_of(run)
    changes = combined(remedies)
    settings = replace(settings, deadline=picked.deadline, command=command)
    settings = _with_changes(settings, changes)
    if job.course is not None:
        stops = job.course.stops(len(remedies), settings.total_steps)
        settings = replace(settings, followed=stops)
    schedule = schedule_of(job, settings.total_steps)
    session = _build_session(job, run, model, callbacks, frozen, number)
    parts = Parts(
        model=model,
        wrapped=WrappedModel(model.module, job.objective),
        updates=build_updates(
            model.architecture.param_groups(model.module), optimizer_settings(job.config.training)
        ),
        schedule=replace(schedule, peak=schedule.peak * changes.learning_rate),
        batches=batches_of(job, windows),
        store=CheckpointStore(run.checkpoints, job.config.checkpoints.save_total_limit, Storage()),
        watch=watch,
        world=SingleProcess(),
        outside=session,
    )
    return Trainer(settings, parts, TrainState()), session


def _with_changes(settings: LoopSettings, changes: Overrides) -> LoopSettings:
    """Of what a run does otherwise since it went back."""
    clip = changes.gradient_clip
    step = settings.step if clip is None else replace(settings.step, gradient_clip=clip)
    return replace(settings, step=step, at_best=changes.end_at_best)


def _build_callbacks(job: Job) -> list[tuple[str, Callback]]:
    return [(selected.name, _build_callback(selected)) for selected in job.config.callbacks]


def _build_callback(selected: Selected) -> Callback:
    target = selected.part.load()
    try:
        callback: Callback = target(selected.options)
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"callback '{selected.name}' could not be made: {type(error).__name__}: {error}",
            where=f"{selected.part.distribution}, {_raised_at(error)}",
            fixes=(
                f"leave it out: take '{selected.name}' out of llm.toml",
                f"if it is yours: llm plugins test {selected.name}",
            ),
        ) from error
    return callback


def _raised_at(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}"


def _build_session(
    job: Job,
    run: RunFolder,
    model: Model,
    callbacks: list[tuple[str, Callback]],
    frozen: Frozen,
    number: int,
) -> Session:
    generation = job.config.generation
    device = torch.device(frozen.device)
    loaded = job.loaded(model.module, device)
    return Session(
        run,
        number,
        callbacks,
        loaded,
        Texts(
            job.windows(job.data.train_streams),
            job.windows(job.data.val_streams),
            job.data.val.bytes,
            job.config.training.batch_size,
        ),
        precision=frozen.precision,
        prompt=sample_prompt(job, loaded) if loaded.generates else None,
        sampling=Sampling(
            generation.max_new_tokens,
            generation.temperature,
            generation.top_k,
            generation.top_p,
            seed=job.config.training.seed,
            min_p=generation.min_p,
            repetition_penalty=generation.repetition_penalty,
        ),
    )


def loop_settings(
    job: Job, windows: Windows, frozen: Frozen, divided: int, *, every_step: bool
) -> LoopSettings:
    training = job.config.training
    step = StepSettings(
        batch_size=training.batch_size,
        accumulation=training.gradient_accumulation_steps,
        gradient_clip=training.gradient_clip,
        seed=training.seed,
        device=torch.device(frozen.device),
        precision=frozen.precision,
        divided=divided,
    )
    steps = _total_steps(job, windows)
    fitted = frozen.fitted_steps or steps
    asked = "epochs" if steps < training.max_steps else "max_steps"
    return LoopSettings(
        total_steps=fitted,
        set_by="max_seconds" if fitted < steps else asked,
        step=step,
        log_interval=1 if every_step else job.config.logging.log_interval,
        eval_interval=training.eval_interval,
        save_interval=training.save_interval,
        sample_interval=training.sample_interval or training.eval_interval,
        save_on_interrupt=job.config.checkpoints.save_on_interrupt,
    )


def _total_steps(job: Job, windows: Windows) -> int:
    """The run's length: max_steps or the last epoch, whichever comes first."""
    training = job.config.training
    if training.epochs is None:
        return training.max_steps
    per_step = training.batch_size * training.gradient_accumulation_steps
    return min(training.max_steps, math.ceil(training.epochs * len(windows) / per_step))


def schedule_of(job: Job, total_steps: int) -> Schedule:
    training = job.config.training
    return Schedule(
        training.learning_rate,
        training.warmup_steps,
        total_steps,
        training.min_learning_rate_ratio,
        training.schedule,
        training.decay_ratio,
    )


def _restore(trainer: Trainer, step: int, looked: int, warn: Callable[[str], None]) -> None:
    """Put a trainer where a verified checkpoint was."""
    parts = trainer.parts
    state = read_checkpoint(parts.store.path(step), parts, trainer.step.scale)
    trainer.restore(state, looked)
    try:
        best = parts.store.marked("best").get("val_loss")
    except DataError as error:
        warn(f"{error.what}; the next score counts as the best")
        return
    if isinstance(best, float):
        trainer.state.best_val_loss = best
