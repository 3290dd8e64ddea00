"""What clients ask for, in the words of OpenAI's API.

What would change the answer and is not to be had here is refused by name; what would not, is
ignored. `null` is the same as leaving a key out, as it is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError, from_json

from create_llm.errors import nearest
from create_llm.models.conversation import Message
from create_llm.models.generation import Sampling
from create_llm_serve.problems import ApiError

_INT64 = 2**63
_STOPS, _STOP_LENGTH = 16, 128
_PROMPTS, _MESSAGES, _PARTS, _KEYS = 4096, 16384, 1024, 100
"""Most entries. Each that is wrong would cost an error: lists end at their first (`fail_fast`), and
objects are counted beforehand."""
_SHOWN = 50
"""Characters of a name that a message shows."""

_ABSENT = frozenset(
    {
        "best_of",
        "frequency_penalty",
        "functions",
        "logit_bias",
        "logprobs",
        "modalities",
        "presence_penalty",
        "response_format",
        "suffix",
        "tool_calls",
        "tools",
        "top_logprobs",
    }
)
"""What is not to be had here; taken with the value that changes nothing."""

Zero = Annotated[float, Field(ge=0, le=0)]
No = Annotated[list[object], Field(max_length=0)]
Stop = Annotated[str, Field(min_length=1, max_length=_STOP_LENGTH)]
M = TypeVar("M", bound="_Model")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    ignored: ClassVar[frozenset[str]] = frozenset()
    """Keys that say nothing about the text."""

    @model_validator(mode="before")
    @classmethod
    def _few_keys(cls, data: object) -> object:
        if isinstance(data, dict) and len(data) > _KEYS:
            raise PydanticCustomError("too_many_keys", f"it has more than {_KEYS} keys")
        return data


class StreamOptions(_Model):
    ignored = frozenset({"include_obfuscation"})

    include_usage: bool = False


class ResponseFormat(_Model):
    type: Literal["text"]


class Request(_Model):
    """What both kinds of request have. What is left out comes from the model's bundle."""

    ignored = frozenset(
        {
            "user",
            "metadata",
            "store",
            "service_tier",
            "safety_identifier",
            "prompt_cache_key",
            "prompt_cache_retention",
        }
    )

    model: str | None = None
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    n: int = Field(default=1, ge=1)
    max_tokens: int | None = Field(default=None, ge=1, lt=2**31)
    temperature: float | None = None
    top_p: float | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=_STOPS, fail_fast=True)] = []
    seed: int | None = Field(default=None, ge=-_INT64, lt=_INT64)

    # Not in OpenAI's API; by the names that other servers give them.
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None

    frequency_penalty: Zero = 0
    presence_penalty: Zero = 0
    logit_bias: Annotated[dict[str, object], Field(max_length=0)] = {}

    def samplings(self, defaults: Sampling) -> list[Sampling]:
        """How each of the `n` texts is sampled.

        Raises:
            ConfigError: a value is out of its range.
        """
        given = {
            "max_new_tokens": self._most(),
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "min_p": self.min_p,
            "repetition_penalty": self.repetition_penalty,
            "stop": (self.stop,) if isinstance(self.stop, str) else tuple(self.stop),
        }
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        seeds = [None if self.seed is None else (self.seed + i) % _INT64 for i in range(self.n)]
        return [replace(defaults, **changes, seed=seed) for seed in seeds]

    def _most(self) -> int | None:
        return self.max_tokens


class CompletionRequest(Request):
    prompt: str | Annotated[list[str], Field(min_length=1, max_length=_PROMPTS, fail_fast=True)] = (
        ""
    )
    echo: bool = False

    best_of: Literal[1] = 1
    suffix: Literal[""] = ""
    logprobs: None = None

    @property
    def prompts(self) -> list[str]:
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt


class TextPart(_Model):
    type: Literal["text"]
    text: str


class ChatMessage(_Model):
    ignored = frozenset({"name", "refusal", "annotations", "audio", "tool_call_id"})

    role: str
    content: str | Annotated[list[TextPart], Field(max_length=_PARTS, fail_fast=True)]
    tool_calls: No = []

    def message(self) -> Message:
        """
        Raises:
            ConfigError: there is no such role.
        """
        parts = self.content
        text = parts if isinstance(parts, str) else "".join(part.text for part in parts)
        # OpenAI's newer name of the same.
        return Message("system" if self.role == "developer" else self.role, text)


class ChatRequest(Request):
    ignored = Request.ignored | {"parallel_tool_calls", "tool_choice", "function_call"}

    messages: list[ChatMessage] = Field(min_length=1, max_length=_MESSAGES, fail_fast=True)
    max_completion_tokens: int | None = Field(default=None, ge=1, lt=2**31)

    tools: No = []
    functions: No = []
    logprobs: Literal[False] = False
    top_logprobs: Literal[0] = 0
    modalities: Annotated[list[Literal["text"]], Field(max_length=_KEYS, fail_fast=True)] = ["text"]
    response_format: ResponseFormat = ResponseFormat(type="text")

    def _most(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens


def parse(model: type[M], body: bytes) -> M:
    """The request that a body holds.

    Raises:
        ApiError: it holds none.
    """
    try:
        data: object = from_json(body, allow_inf_nan=False)
    except ValueError as error:  # also where it is not UTF-8
        raise ApiError(400, f"the body is not valid JSON: {error}") from error
    try:
        return model.model_validate(_without(data, model.ignored))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise _invalid(max(problems, key=_closeness), model) from error


def _closeness(problem: ErrorDetails) -> tuple[int, bool]:
    """Of a value that may be one thing or another, what was meant lies deepest, and is of the
    right type."""
    return len(problem["loc"]), not problem["type"].endswith("_type")


def _without(data: object, ignored: frozenset[str]) -> object:
    """The same without keys that are null or ignored, in messages, too."""
    if not isinstance(data, dict):
        return data
    kept = {key: value for key, value in data.items() if value is not None and key not in ignored}
    if isinstance(kept.get("messages"), list):
        kept["messages"] = [_without(item, ChatMessage.ignored) for item in kept["messages"]]
    if "stream_options" in kept:
        kept["stream_options"] = _without(kept["stream_options"], StreamOptions.ignored)
    return kept


def _invalid(problem: ErrorDetails, model: type[_Model]) -> ApiError:
    place, param = problem["loc"], _spelt(problem["loc"]) or None
    absent = next((str(part) for part in place if part in _ABSENT), None)
    if absent is None and problem["type"] != "extra_forbidden":
        return ApiError(400, f"{param or 'the body'} {_words(problem)}", param=param)
    name = absent or str(place[-1])[:_SHOWN]
    known = None if absent else nearest(name, _keys_at(model, place))
    hint = f"did you mean '{known}'?" if known else "leave it out"
    code = "unsupported_parameter"
    return ApiError(400, f"'{name}' is not supported here; {hint}", code=code, param=param)


_KINDS = {
    "bool": "true or false",
    "dict": "an object",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model": "an object",
    "string": "text",
}


def _words(problem: ErrorDetails) -> str:
    """What is wrong with a value, so that whoever sent it knows what to send."""
    kind, _, what = problem["type"].partition("_")
    limits = problem.get("ctx", {})
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] in ("too_short", "string_too_short"):
        return "must not be empty"
    if problem["type"] == "too_long":
        return f"may have {limits['max_length']} entries at most, got {limits['actual_length']}"
    if problem["type"] == "string_too_long":
        return f"may have {limits['max_length']} characters at most"
    if problem["type"] == "finite_number":
        return "must be a finite number"
    if problem["type"] == "literal_error":
        return f"must be {limits['expected']}"
    if what in ("type", "attributes_type", "from_float") and kind in _KINDS:
        return f"must be {_KINDS[kind]}"
    bounds = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    told = [f"{words} {limits[name]:,}" for name, words in bounds.items() if name in limits]
    return f"must be {' and '.join(told)}" if told else f"cannot be used: {problem['msg']}"


def _keys_at(model: type[_Model], place: Sequence[int | str]) -> Mapping[str, object]:
    if place[0] == "messages":
        return ChatMessage.model_fields
    return model.model_fields if len(place) == 1 else {}


def _spelt(place: Sequence[int | str]) -> str:
    """messages[0].content; without the names that pydantic gives the members of unions."""
    plain = [part for part in place if isinstance(part, int) or part.isidentifier()]
    spelt = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:_SHOWN]}" for part in plain)
    return spelt.removeprefix(".").removesuffix(".str")
