"""One renderer for each engine, from the declarations of `contracts` to the engine's form."""
