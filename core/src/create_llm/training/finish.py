"""The end of a run: its model bundle and its summary, whatever the end was."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from create_llm.data.chat.template import FILE as CHAT_TEMPLATE_FILE
from create_llm.data.preparation.ingredients import tokenizer_files
from create_llm.models.architecture import Decoder
from create_llm.models.bundle import FORMAT, INFO, WEIGHTS
from create_llm.models.card import model_card
from create_llm.models.versions import active_version, bundle_of_run, next_version, set_active
from create_llm.runs.events import TrainEnd
from create_llm.runs.origin import versions_named
from create_llm.runs.run import runs_of
from create_llm.storage.durable import Storage, read_manifest
from create_llm.training.assemble import Assembled
from create_llm.training.frozen import versions
from create_llm.training.job import Job
from create_llm.training.remedies import remedies_of
from create_llm.training.stopping import Stop
from create_llm.training.summary import finite, parameters_of, summarize


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        summary: what summary.json says.
        model: the bundle's folder, for a completed run.
        before: that of the model which was active until then, if another was.
        generates: whether the model continues texts.
    """

    run: str
    stop: Stop
    summary: dict[str, Any]
    model: Path | None
    before: Path | None
    generates: bool


def end_run(job: Job, run: Assembled, stop: Stop, *, error: str | None = None) -> Ended:
    """Write the bundle (of a completed run), the summary and the last event."""
    active = active_version(job.project.models)
    model = _save_bundle(job, run) if stop.status == "completed" else None
    summary = summarize(job, run, stop, model)
    run.run.write_summary(summary)
    tell_end(run, stop, model, error)
    other = active if model is not None and active != model.name else None
    return Ended(
        run=run.run.name,
        stop=stop,
        summary=summary,
        model=model,
        before=job.project.models / other if other else None,
        generates=isinstance(job.architecture, Decoder),
    )


def tell_end(
    run: Assembled, stop: Stop, model: Path | None = None, error: str | None = None
) -> None:
    """The last event of a session."""
    run.trainer.count_wall_seconds()
    figures = run.trainer.reporter.figures
    run.session.emit(
        TrainEnd(
            step=run.trainer.state.step,
            status=stop.status,
            stopped_by=stop.by,
            seconds=round(run.trainer.state.wall_seconds, 3),
            train_loss=figures.train_loss,
            val_loss=figures.val_loss,
            val_bits_per_byte=figures.val_bits_per_byte,
            model=str(model) if model else None,
            error=error,
        )
    )


def _save_bundle(job: Job, run: Assembled) -> Path:
    """The next version of the project's model, from the final checkpoint; becomes active."""
    models = job.project.models
    made = bundle_of_run(models, run.run.name)
    if made is not None and made.info["metrics"]["steps"] == run.trainer.state.step:
        set_active(models, made.path.name)  # its session was killed right after, or before this
        return made.path
    logs = job.project.root / job.config.logging.log_dir
    named = versions_named(models, list(runs_of(logs, job.project.checkpoints)))
    while True:
        folder = models / next_version(models, named)
        try:
            _write_bundle(job, run, folder)
        except FileExistsError:  # another run has just taken this number
            continue
        set_active(models, folder.name)
        return folder


def _write_bundle(job: Job, run: Assembled, folder: Path) -> None:
    final = run.trainer.parts.store.folder / "final"
    info = _info(job, run)
    with Storage().commit(folder, replace=False) as writer:
        writer.link(WEIGHTS, final / WEIGHTS, read_manifest(final)[WEIGHTS])
        hf_config = {**_read_json(final / "config.json"), **_special(job)}
        writer.write_json("config.json", hf_config)
        for name, data in tokenizer_files(job.tokenizer).items():
            writer.write(name, [data])
        if job.template is not None:
            writer.write(CHAT_TEMPLATE_FILE, [job.template.source.encode()])
        writer.write_json("generation_config.json", _generation_defaults(job))
        writer.write_json(INFO, info)
        hf_class = next(iter(hf_config.get("architectures") or ()), None)
        card = model_card(folder.name, info, job.architecture.capabilities, hf_class)
        writer.write("README.md", [card.encode()])


def _generation_defaults(job: Job) -> dict[str, Any]:
    generation = job.config.generation
    return {
        "do_sample": generation.temperature > 0,
        "max_new_tokens": generation.max_new_tokens,
        "temperature": generation.temperature,
        "top_k": generation.top_k,
        "top_p": generation.top_p,
        "min_p": generation.min_p,
        "repetition_penalty": generation.repetition_penalty,
        **_special(job),
    }


def _special(job: Job) -> dict[str, int | None]:
    """The control tokens, by the keys that Hugging Face's configurations use."""
    special = job.tokenizer.special
    return {
        "eos_token_id": special.eos,
        "bos_token_id": special.bos,
        "pad_token_id": special.pad,
        **job.objective.hf_config(),
    }


def _read_json(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def _info(job: Job, run: Assembled) -> dict[str, Any]:
    """create_llm.json: which parts read this bundle, and where it comes from."""
    state, figures = run.trainer.state, run.trainer.reporter.figures
    return {
        "format": FORMAT,
        "run": run.run.name,
        "architecture": job.config.model.name,
        "tokenizer": job.config.tokenizer.name,
        "objective": job.chosen_objective.as_dict(),
        "packages": {
            "architectures": job.config.model.part.distribution,
            "tokenizers": job.config.tokenizer.part.distribution,
            "objectives": job.chosen_objective.part.distribution,
        },
        "parameters": parameters_of(run),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "metrics": {
            "steps": state.step,
            "tokens": state.tokens,
            "train_loss": figures.train_loss,
            "val_loss": figures.val_loss,
            "val_perplexity": finite(figures.val_perplexity),
            "val_bits_per_byte": figures.val_bits_per_byte,
        },
        "data": {
            "key": job.data.key,
            "division": job.data.division,
            "folder": str(job.data.folder.relative_to(job.project.root)),
        },
        "recipe": job.config.as_dict(),
        "init": job.initial.as_dict() if job.initial else None,
        "remedies": [asdict(remedy) for remedy in remedies_of(run.run)],
        "versions": versions(job),
    }
