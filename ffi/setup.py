"""Two C extensions and rtrlib in, one wheel out; everything else is said in setup.cfg."""

import os
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).resolve().parent))
import native_types

# Whoever wants the native engine alone needs no librtr, neither to build nor to run.
MODULES = ["_rov"] if os.environ.get("RTRLIB_WITHOUT_LIBRTR") else ["_rov", "_librtr"]


class BuildWithTypes(build_py):
    """Put the types of the compiled modules beside them: PEP 561 wants packages of their own for that."""

    def run(self) -> None:
        """Do so."""
        super().run()
        if not getattr(self, "editable_mode", False):
            native_types.write(MODULES, Path(self.build_lib))


setup(
    cmdclass={"build_py": BuildWithTypes},
    cffi_modules=[f"build{module}.py:ffibuilder" for module in MODULES],
)
