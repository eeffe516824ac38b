"""What every room stands on: secrets, URLs, plug-ins, process state. Private to bedplate."""

__all__: list[str] = []
