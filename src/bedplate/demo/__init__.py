"""The demo: runs the inventory example on the embedded memory transport and shows what it does."""

from bedplate.demo.tour import main as main

__all__ = ["main"]
