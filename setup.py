"""The two C extensions in, one wheel out; everything else is said in setup.cfg."""

from setuptools import find_packages, setup

rtrlib = ["rtrlib", *(f"rtrlib.{name}" for name in find_packages("ffi/rtrlib"))]

setup(
    packages=[*rtrlib, *find_packages(include=["rtrd", "rtrd.*"])],
    cffi_modules=["ffi/build_rov.py:ffibuilder", "ffi/build_rtrlib.py:ffibuilder"],
)
