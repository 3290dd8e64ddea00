"""What this package brings: the deploy target `replicate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_deploy_targets(register: Register) -> None:
    register(
        "replicate",
        "create_llm_replicate.deploy:Replicate",
        summary="A model that Replicate runs, private by default, as a Cog package.",
        config="create_llm_replicate.config:ReplicateConfig",
    )
