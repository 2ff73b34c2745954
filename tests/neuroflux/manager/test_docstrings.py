"""``help`` of each public method of the façade names its parameters, the keys of its answer, its errors, an example."""

import inspect
import re
from typing import Any, get_args, get_type_hints

import pytest

from neuroflux.manager.async_manager import AsyncExchangeManager
from neuroflux.manager.sync_manager import ExchangeManager

SECTIONS = ("Args", "Returns", "Raises", "Example")


def methods() -> list[Any]:
    return [
        pytest.param(method, id=method.__qualname__)
        for manager in (ExchangeManager, AsyncExchangeManager)
        for name, method in inspect.getmembers(manager, inspect.isfunction)
        if not name.startswith("_")
    ]


def sections(method: Any) -> dict[str, str]:
    """The text of each section, by its title."""
    parts = re.split(r"^(\w+):\n", inspect.getdoc(method) or "", flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def keys(method: Any) -> set[str]:
    """The keys of the returned dict, or of the dicts in the returned list."""
    answer = get_type_hints(method)["return"]
    (answer,) = get_args(answer) or (answer,)
    return set(getattr(answer, "__annotations__", ()))


@pytest.mark.parametrize("method", methods())
def test_a_public_method_is_documented_in_full(method: Any) -> None:
    found = sections(method)
    assert tuple(found) == SECTIONS
    parameters = [name for name in inspect.signature(method).parameters if name != "self"]
    assert re.findall(r"^    (\w+): ", found["Args"], re.M) == parameters
    assert {key for key in keys(method) if f"``{key}``" not in found["Returns"]} == set()
    assert all(line.startswith(" ") for line in found["Example"].splitlines() if line)


def test_both_managers_have_the_same_methods() -> None:
    names = [method.values[0].__name__ for method in methods()]
    assert len(names) == 24
    assert names[:12] == names[12:]
