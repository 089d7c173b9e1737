"""One module for each stage, with the functions of its tasks in order."""
