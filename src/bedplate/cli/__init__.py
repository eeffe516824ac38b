"""The command line: one file a noun; each parses, calls a public function and prints.

Importing this package loads nothing, because `bedplate health probe` starts in milliseconds.
"""

__all__: list[str] = []
