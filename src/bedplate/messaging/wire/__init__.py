"""Envelopes: how values travel in messages. `values` says what, `native` says how."""
