"""The daemon's packages; the library underneath, with all that is compiled, is a distribution of its own, in ffi/."""

from setuptools import find_packages, setup

setup(packages=find_packages(include=["rtrd", "rtrd.*"]))
