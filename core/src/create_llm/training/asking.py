"""What samples are of: the words that a person chose, or what the text itself asks."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, takewhile

from create_llm.config import Config
from create_llm.config.layers import installed_templates
from create_llm.data.corpus import Corpus
from create_llm.data.documents import Document
from create_llm.data.encoding import is_conversation
from create_llm.data.pipeline import data_source
from create_llm.data.preparation.prepared import PreparedData
from create_llm.data.source import documents_of
from create_llm.data.split import is_validation
from create_llm.kernel.registry import Registry
from create_llm.models.asking import asked
from create_llm.models.conversation import Message
from create_llm.models.generation import Prompt
from create_llm.models.loaded import LoadedModel
from create_llm.project.folder import Project
from create_llm.training.job import Job

_LOOKED_AT = 5_000
"""Documents of each source: about a second of reading at most, and with one document in a hundred
kept for validation, 50 of those."""


def sample_prompt(job: Job, model: LoadedModel) -> Prompt:
    """What the samples of a run continue, or answer.

    A model of conversations answers the first question of the validation part. Where a person
    chose another `generation.prompt` than the template's, it answers that.
    """
    words = job.config.generation.prompt
    if model.template is None or not job.data.conversations:
        return Prompt.end_of(words, model, lambda text: None)
    found: tuple[Message, ...] | None = None
    if is_of_template(words, job.config, job.plugins.registry):
        found = first_question(job.project, job.config, job.data)
    prompt = asked(model, found or [Message("user", words)], lambda text: None)
    # Whoever shows a sample puts the answer right behind: on a line of its own, then.
    return replace(prompt, text=f"{prompt.text}\n")


def is_of_template(words: str, config: Config, registry: Registry) -> bool:
    """Whether a prompt is the one that the project's template came with."""
    return any(
        template.name == config.project.template
        and template.values.get("generation", {}).get("prompt") == words
        for template in installed_templates(registry)
    )


def first_question(
    project: Project, config: Config, data: PreparedData
) -> tuple[Message, ...] | None:
    """What comes before the first answer in the first validation conversation; None where there
    is none near the beginning of any source.

    Raises:
        DataError: the text cannot be read.
    """
    if not data.conversations:
        return None
    corpus = Corpus((data_source(project, config),), config.data.val_split)
    split = corpus.fraction()
    for side in corpus.sides():
        fraction = side.fraction(split)
        for document in islice(documents_of(side.source), _LOOKED_AT):
            if is_validation(document.text, fraction) and (messages := _question(document)):
                return messages
    return None


def _question(document: Document) -> tuple[Message, ...]:
    if not is_conversation(document):
        return ()
    before = takewhile(lambda segment: not segment.loss, document.segments)
    return tuple(Message(segment.role, segment.text) for segment in before)
