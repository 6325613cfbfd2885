"""The version, for the CLI, the API and the package."""

__version__ = "0.1.0"
