"""The executor with a point before and after every await of its code, at which it can be made to die or to stop.

The points are found from the code: the modules of ``consumers`` are compiled with every await wrapped. A program:
``python tests/consumers/execution/points.py``. ``POINTS_FILE`` is where each point is noted when it is first passed;
``POINT`` names the one at which the process sends itself ``POINT_SIGNAL``.
"""

from __future__ import annotations

import ast
import builtins
import importlib.machinery
import os
import signal
import sys
from collections.abc import Awaitable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOT = Path(__file__).parents[3]
PACKAGE = "consumers"
NOT_TRADING = ("consumers.warehouse", "consumers.__main__")


class Wrapping(ast.NodeTransformer):
    """Names of points are module, line, and ``before`` or ``after``."""

    def __init__(self, module: str) -> None:
        self._module = module

    def visit_Await(self, node: ast.Await) -> ast.Await:
        self.generic_visit(node)
        wrapped = ast.Call(ast.Name("_awaited", ast.Load()), [self._name(node), node.value], [])
        return ast.copy_location(ast.Await(wrapped), node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> list[ast.stmt]:
        return self._after_a_point(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> list[ast.stmt]:
        return self._after_a_point(node)

    def _after_a_point(self, node: ast.AsyncWith | ast.AsyncFor) -> list[ast.stmt]:
        self.generic_visit(node)
        point = ast.Call(ast.Name("_entered", ast.Load()), [self._name(node)], [])
        return [ast.copy_location(ast.Expr(point), node), node]

    def _name(self, node: ast.expr | ast.stmt) -> ast.Constant:
        return ast.Constant(f"{self._module}:{node.lineno}")


def wrapped(source: bytes, module: str, path: str) -> CodeType:
    tree = ast.fix_missing_locations(Wrapping(module).visit(ast.parse(source)))
    return compile(tree, path, "exec")


class Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return wrapped(self.get_data(path), fullname, path)


class Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{PACKAGE}.") or fullname in NOT_TRADING:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.origin is not None:
            spec.loader = Loader(fullname, spec.origin)
        return spec


class Points:
    """Notes each point once, and is killed or stopped at one."""

    def __init__(self) -> None:
        self._at, self._signal = os.environ.get("POINT", ""), os.environ.get("POINT_SIGNAL", "SIGKILL")
        self._file = os.open(os.environ["POINTS_FILE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._seen: set[str] = set()

    def passed(self, name: str) -> None:
        if name in self._seen:
            return
        self._seen.add(name)
        os.write(self._file, f"{name}\n".encode())
        if name == self._at:
            os.kill(os.getpid(), signal.Signals[self._signal])

    async def awaited(self, name: str, awaitable: Awaitable[Any]) -> Any:
        self.passed(f"{name} before")
        answer = await awaitable
        self.passed(f"{name} after")
        return answer

    def entered(self, name: str) -> None:
        self.passed(f"{name} before")


def main() -> None:
    points = Points()
    builtins._awaited, builtins._entered = points.awaited, points.entered  # type: ignore[attr-defined]
    sys.meta_path.insert(0, Finder())
    sys.path.insert(0, str(ROOT))
    from consumers.execution import stage
    from neuroflux.runtime.stage import run_stage

    sys.argv = ["consumers", "execution"]
    run_stage(PACKAGE, {"execution": stage.main})


if __name__ == "__main__":
    main()
