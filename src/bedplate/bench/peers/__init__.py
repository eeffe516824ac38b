"""The contestants: one file each, loaded by `bedplate.bench.runner` in an environment of its own.

A contestant has ``CONFIRMS`` and ``ACKS``, which say on what terms its messages travel, ``BUILD``,
which says what the library is made of, ``DISTRIBUTION``, whose version is shown, and two context
managers, plain or async:
``server(url, topic, width)`` answers while it is open, ``client(url, topic, width)`` gives a
function, plain or async, that sends a text and returns what came back. At most ``width`` calls are
in flight at a time.

One of configuration, named ``…_options``, is loaded by `bedplate.bench.options_runner`. It has
``MODULE``, which a program imports, ``FORM``, which it reads, ``TERMS``, which say what is read and
what loading does, and ``DISTRIBUTION``; ``describe(options)`` makes its classes or the like,
``load(described, source)`` reads and checks everything, and raises for a mistake that it notices;
``value(loaded, section, name)`` is what an option came to, ``reads(loaded, section, name)`` the
expressions that read one.

The library is imported inside, since only its environment has it. Knows nothing of measuring.
"""

__all__: list[str] = []
