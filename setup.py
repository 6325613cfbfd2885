"""The two C extensions in, one wheel out; everything else is said in setup.cfg."""

from setuptools import setup

setup(
    packages=["rtrlib", "rtrd", "rtrd.exabgp", "rtrd.ops", "rtrd.routes", "rtrd.rtr", "rtrd.vrps"],
    cffi_modules=["ffi/build_rov.py:ffibuilder", "ffi/build_rtrlib.py:ffibuilder"],
)
