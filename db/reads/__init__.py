"""Questions that screens and the command ask, one module per question."""
