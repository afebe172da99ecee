"""What tests of grids share."""

from __future__ import annotations

import logging

import pytest

from scalarfid.log import log


@pytest.fixture
def said(caplog, monkeypatch):
    """What was logged, on one line."""
    monkeypatch.setattr(log, "handlers", [logging.NullHandler()])
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.INFO, logger="scalarfid")
    return lambda: " ".join(caplog.messages)
