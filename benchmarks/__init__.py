"""Side-by-side measurements and long sweeps, each a command, each with its results stored as JSON beside it."""
