"""The version of rtrlib: above that of rtrlib-python (0.1), whose successor it is."""

from typing import Final

__all__ = ["__version__"]

__version__: Final = "1.0.0"
