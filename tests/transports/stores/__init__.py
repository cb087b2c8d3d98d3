"""One contract, and every store held to it."""
