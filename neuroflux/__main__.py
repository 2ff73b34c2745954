"""``python -m neuroflux`` is the program."""

from neuroflux.cli import main

main()
