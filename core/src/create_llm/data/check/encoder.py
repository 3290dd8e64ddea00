"""What lengths are measured with: the project's tokenizer, where there is one that works."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from create_llm.data.encoding import DocumentEncoder
from create_llm.data.pipeline import conversation_template
from create_llm.data.tokenizer_files import TOKENIZER_FILE, load_tokenizer
from create_llm.errors import CreateLLMError
from create_llm.project.folder import Project

if TYPE_CHECKING:
    from create_llm.config import Config


def project_encoder(
    project: Project, config: Config, notice: Callable[[str], None]
) -> DocumentEncoder | None:
    """The encoder of a project; None where it has no tokenizer yet, or one that cannot be used.

    Args:
        notice: hears why a tokenizer cannot be used: a check tells of the data all the same.
    """
    if not (project.tokenizer / TOKENIZER_FILE).is_file():
        return None
    try:
        tokenizer = load_tokenizer(config.tokenizer.part, project.tokenizer)
        return DocumentEncoder(tokenizer, conversation_template(project, config))
    except CreateLLMError as error:
        notice(f"lengths are in words: {error.what}")
        return None
