"""How a key of llm.toml is declared, by the core or by a part: with constraints and explanation.

Descriptions, costs and advice feed `llm config explain`, the generated docs and the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

from create_llm.errors import PluginError
from create_llm.kernel.registry import Part, Registry


def key(
    default: Any = ...,
    description: str = "",
    *,
    cost: str,
    advice: str,
    identity: bool = False,
    **constraints: Any,
) -> Any:
    """A key of llm.toml. `cost` and `advice` complete "It costs …" and "Try …" for a beginner."""
    extra: JsonDict = {"identity": identity, "cost": cost, "try": advice}
    return Field(default, description=description, json_schema_extra=extra, **constraints)


class SectionModel(BaseModel):
    """Base of the core's sections: no other keys, no other types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def fields_of(model: type[BaseModel] | None) -> dict[str, FieldInfo]:
    """The fields of a model by the names that llm.toml uses."""
    if model is None:
        return {}
    return {field.alias or name: field for name, field in model.model_fields.items()}


def installed_models(registry: Registry, kind: str) -> Iterator[tuple[Part, type[BaseModel]]]:
    """The parts of a kind that take options, with their models.

    A part whose model cannot be imported is left out: it is an error where it is chosen, and
    must not hide what the others say.
    """
    for part in registry.parts(kind):
        try:
            model = part.config_model()
        except PluginError:
            continue
        if model is not None:
            yield part, model


def is_identity(field: FieldInfo, *, default: bool) -> bool:
    """Whether a change of this key makes another run; a part's field may say, or inherits."""
    return bool(_extra(field).get("identity", default))


def advice_of(field: FieldInfo) -> tuple[str | None, str | None]:
    """What a field says about its cost, and what to try."""
    extra = _extra(field)
    return extra.get("cost"), extra.get("try")


def table_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a table, or may be one."""
    annotation = field.annotation
    choices = (annotation, *get_args(annotation))
    models = (each for each in choices if isinstance(each, type) and issubclass(each, BaseModel))
    return next(models, None)


def _extra(field: FieldInfo) -> dict[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
