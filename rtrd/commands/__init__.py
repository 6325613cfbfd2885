"""One module for each command of the CLI: `configure(parser)` and `run(args) -> exit code`."""
