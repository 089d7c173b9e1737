"""The gates: what must hold before data goes on to the next store."""
