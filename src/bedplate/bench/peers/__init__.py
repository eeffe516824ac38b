"""The contestants: one file each, loaded by `bedplate.bench.runner` in an environment of its own.

A contestant has ``CONFIRMS`` and ``ACKS``, which say on what terms its messages travel,
``DISTRIBUTION``, whose version is shown, and two context managers, plain or async:
``server(url, topic, width)`` answers while it is open, ``client(url, topic, width)`` gives a
function, plain or async, that sends a text and returns what came back. At most ``width`` calls are
in flight at a time. Its library is imported inside, since only its environment has it. Knows
nothing of measuring.
"""

__all__: list[str] = []
