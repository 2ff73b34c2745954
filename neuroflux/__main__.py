"""``python -m neuroflux`` is the program."""

from neuroflux.cli.app import main

main()
