"""The contract of the target."""

from __future__ import annotations

import contextlib
import json
from typing import ClassVar

import pytest
from plugins.replicate_plugin.tests.service import programs, reached, serving

from create_llm.testing import DeployTargetContract


class TestTarget(DeployTargetContract):
    name = "replicate"
    options: ClassVar = {"model_name": "org/model"}

    @contextlib.contextmanager
    def service(self, root):
        with serving() as service, pytest.MonkeyPatch.context() as patch, contextlib.chdir(root):
            reached(patch, service, programs(root / "bin", service, "cog", "docker"))
            yield lambda: json.dumps([service.models, service.pushes])
