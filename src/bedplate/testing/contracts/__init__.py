"""Suites that say, by running, what a contract asks. Subclass one and give it your object."""

__all__: list[str] = []
