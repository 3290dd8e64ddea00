from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# Tests are imported by path, without a package around them that could hold what they share.
_NAME = "storage_faulty_disk"
_spec = importlib.util.spec_from_file_location(_NAME, Path(__file__).with_name("faulty_disk.py"))
sys.modules[_NAME] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules[_NAME])
