"""The course report: what notebooks display (``cells``), how they are bound and run."""
