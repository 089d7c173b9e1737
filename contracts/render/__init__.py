"""One renderer an engine: from the declarations of `contracts` to that engine's own form."""
