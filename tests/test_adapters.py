"""What all adapters have in common: they say which package is lacking."""

from __future__ import annotations

import importlib
import sys

import pytest

from schedplan.errors import MissingDependencyError


@pytest.mark.parametrize(
    ("adapter", "module", "command"),
    [
        ("torch", "torch.optim", "pip install torch"),
        ("lightning", "lightning.pytorch", r"pip install 'schedplan\[lightning\]'"),
        ("transformers", "transformers", r"pip install 'schedplan\[transformers\]'"),
    ],
)
def test_a_framework_that_is_not_installed_is_told(monkeypatch, adapter, module, command):
    monkeypatch.setitem(sys.modules, module, None)  # as Python marks what cannot be imported
    monkeypatch.delitem(sys.modules, f"schedplan.adapters.{adapter}", raising=False)
    with pytest.raises(MissingDependencyError, match=f"{adapter}' is not installed.*{command}"):
        importlib.import_module(f"schedplan.adapters.{adapter}")
