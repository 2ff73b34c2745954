"""The answers have the keys of the API reference, function by function, and its names, parameters and defaults."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from neuroflux.exchanges.exchange_manager import ExchangeManager
from neuroflux.manager.async_manager import AsyncExchangeManager

REFERENCE = Path(__file__).parents[4] / "shared" / "exchange_manager_api.md"
FUNCTION = re.compile(r"### `(\w+)\((.*?)\)`\n(.*?)(?=\n### |\n## )", re.S)
RETURNS = re.compile(r"\*\*Returns:\*\*\n```python\n\{\n(.*?)\n\}", re.S)


def functions() -> dict[str, tuple[str, list[str]]]:
    """By name: the parameters as printed, and the keys of the answer."""
    if not REFERENCE.exists():
        pytest.skip("the API reference is not beside the project")
    found = {}
    for name, parameters, text in FUNCTION.findall(REFERENCE.read_text()):
        (body,) = RETURNS.findall(text)
        found[name] = (parameters, re.findall(r"^    '(\w+)':", body, re.M))
    return found


@pytest.mark.parametrize("manager", [ExchangeManager, AsyncExchangeManager])
def test_every_function_has_its_name_its_parameters_and_its_keys(manager: type[Any]) -> None:
    listed = functions()
    assert len(listed) == 10
    for name, (parameters, keys) in listed.items():
        method = getattr(manager, name)
        answer = get_type_hints(method)["return"]
        assert set(keys) <= set(answer.__annotations__), name
        expected = [one.strip() for one in parameters.split(",") if one.strip()]
        given = list(inspect.signature(method).parameters.values())[1:]
        printed = [one.name if one.default is one.empty else f"{one.name}={one.default!r}" for one in given]
        assert printed[: len(expected)] == expected, name
