"""What this package brings: the data source `web`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_data_sources(register: Register) -> None:
    register(
        "web",
        "create_llm_web.source:WebSource",
        summary="Text from http and https addresses, downloaded once into data/web.",
        config="create_llm_web.config:WebConfig",
        requires=("data_sources/text",),
        schemes=("http", "https"),
    )
