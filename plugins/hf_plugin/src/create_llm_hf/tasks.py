"""What a model was trained for, by the class of transformers that its config.json names."""

from __future__ import annotations

from collections.abc import Mapping

from create_llm.errors import DataError

_CONTINUES = ("ForCausalLM", "LMHeadModel", "WithLMHead")
_OTHERS = {
    "ForSequenceClassification": "it is a classifier",
    "ForTokenClassification": "it is a classifier of tokens",
    "ForQuestionAnswering": "it finds answers in a text",
    "ForMultipleChoice": "it chooses between answers",
    "ForNextSentencePrediction": "it tells whether two sentences belong together",
    "ForMaskedLM": "it guesses masked tokens",
    "ForPreTraining": "it guesses masked tokens",
    "RewardModel": "it rates texts",
    # The others end like this too, so that it comes last.
    "Model": "it makes vectors of texts, and has no head that says what comes next",
}
"""How the names of the classes end that do something else."""


def classes(config: Mapping[str, object]) -> list[str]:
    """Those that config.json names; none where it says nothing."""
    named = config.get("architectures")
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


def refuse_other_task(config: Mapping[str, object]) -> None:
    """
    Raises:
        DataError: it names only classes that are for something else. Those of nobody's, and none
            at all, say nothing.
    """
    named = classes(config)
    if any(name.endswith(_CONTINUES) for name in named):
        return
    for name in named:
        if task := next((words for end, words in _OTHERS.items() if name.endswith(end)), None):
            raise DataError(
                f"this model does not continue texts: {task} ({name[:80]})",
                where="config.json: architectures",
                fixes=(
                    "import the model that it was made from, if its card names one",
                    "or one whose architectures end in ForCausalLM or LMHeadModel",
                ),
            )
