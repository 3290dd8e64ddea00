"""How often something happens in a run: every so many steps, or every so many epochs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

EXPECTED = 'a whole number of steps from 1 on, or of epochs, like "5ep"'

# Twelve digits are more steps than any run has, and more than a person means.
_WRITTEN = re.compile(r"([1-9][0-9]{0,11})(ep)?")


@dataclass(frozen=True, slots=True)
class Interval:
    """Every `count` steps (updates of the weights), or every `count` passes over the text."""

    count: int
    unit: Literal["steps", "epochs"] = "steps"

    @classmethod
    def parse(cls, value: int | str) -> Self:
        """500 and "500" are steps, "5ep" are epochs.

        Raises:
            ValueError: the value is neither.
        """
        found = cls._read(value)
        if found is None:
            raise ValueError(f"{value!r} is not {EXPECTED}")
        return found

    def __str__(self) -> str:
        return str(self.written)

    @property
    def written(self) -> int | str:
        """As llm.toml writes it: a number of steps, or "5ep"."""
        return self.count if self.unit == "steps" else f"{self.count}ep"

    def due(self, step: int, epochs_done: Callable[[int], int]) -> bool:
        """Whether it is time, once `step` steps (from 1) are done.

        Args:
            epochs_done: the whole epochs that are done after so many steps. A step may end
                several of them; what is due more than once at a step happens once.
        """
        if self.unit == "steps":
            return step % self.count == 0
        return epochs_done(step) // self.count > epochs_done(step - 1) // self.count

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validated,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda it: it.written),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": f"^{_WRITTEN.pattern}$", "examples": ["5ep"]},
            ]
        }

    @classmethod
    def _validated(cls, value: object) -> Self:
        found = value if isinstance(value, cls) else cls._read(value)
        if found is None:
            raise PydanticCustomError("interval", "must be " + EXPECTED)
        return found

    @classmethod
    def _read(cls, value: object) -> Self | None:
        if not isinstance(value, int | str):
            return None
        written = _WRITTEN.fullmatch(str(value))
        return cls(int(written[1]), "epochs" if written[2] else "steps") if written else None
