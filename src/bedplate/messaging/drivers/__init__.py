"""One file a broker family. Nobody imports them: they are found by entry point."""

__all__: list[str] = []
