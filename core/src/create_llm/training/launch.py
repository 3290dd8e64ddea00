"""From a configuration to a finished run: whatever is missing is done first."""

from __future__ import annotations

from create_llm.config import Config
from create_llm.errors import CreateLLMError, DivergedError
from create_llm.kernel.plugins import Plugins
from create_llm.project.folder import Project
from create_llm.runs.lock import RunLock
from create_llm.training.assemble import announce, assemble
from create_llm.training.finish import Ended, end_run
from create_llm.training.job import Job, Surroundings, prepare_job
from create_llm.training.pick_run import Picked, pick_run
from create_llm.training.stopping import Stop


def train(project: Project, config: Config, plugins: Plugins, around: Surroundings) -> Ended:
    """Train a model, from whatever state the project is in.

    Raises:
        CreateLLMError: what a person can cause; nothing saved is lost by it.
    """
    job = prepare_job(project, config, plugins, around)
    picked = pick_run(
        project,
        config.logging.log_dir,
        job.identity(),
        _wanted_run(config, around),
        ask=around.ask,
        warn=around.notice,
    )
    with RunLock(picked.run.path):
        return _run(job, picked, around)


def _wanted_run(config: Config, around: Surroundings) -> str:
    """The command line's word; where it leaves the choice, llm.toml's."""
    if around.resume != "auto":
        return around.resume
    return config.checkpoints.resume_from_checkpoint or "auto"


def _run(job: Job, picked: Picked, around: Surroundings) -> Ended:
    """Run the loop and whatever the end of it asks for, also when it fails."""
    with assemble(job, picked, around) as run:
        try:
            announce(job, picked, run)
            stop = run.trainer.run()
        except BaseException as error:
            status = "diverged" if isinstance(error, DivergedError) else "failed"
            by = type(error).__name__
            run.session.failed(error)
            end_run(job, run, Stop(status, by), error=_words(error))
            raise
        return end_run(job, run, stop)


def _words(error: BaseException) -> str:
    return error.what if isinstance(error, CreateLLMError) else f"{type(error).__name__}: {error}"
