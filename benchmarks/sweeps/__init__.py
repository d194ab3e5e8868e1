"""Long sweeps whose stored results the chapters draw, and the models that come with the library."""
