"""The program ``neuroflux``."""
